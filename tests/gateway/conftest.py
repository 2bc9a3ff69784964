"""A whole runtime behind a real channel, for every test of the gateway."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.gateway.support.gateway_box import serving

from nightcrew.testing.clock import ManualClock


@pytest.fixture
async def box(tmp_path):
    async with serving(tmp_path / "data") as box:
        yield box


@pytest.fixture
async def timed(tmp_path):
    """A box whose clock the test moves."""
    clock = ManualClock()
    async with serving(tmp_path / "data", clock=clock) as box:
        box.clock = clock
        yield box
