"""The peer and a client of it, for every test of the SDK."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "peer"))

from peer_server import Peer

from nightcrew.client import Client, RetryPolicy

FAST = RetryPolicy(attempts=4, initial=0.01, maximum=0.05)


@pytest.fixture
async def peer():
    async with Peer() as running:
        yield running


@pytest.fixture
async def crew(peer):
    async with Client(peer.address, timeout=10, retry=FAST) as client:
        yield client
