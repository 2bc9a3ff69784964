"""The peer, and the command line run against it through its entry point."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "peer"))

from peer_server import Peer

from nightcrew.cli.main import app

ROOT = Path(__file__).parents[2]


class Cli:
    """Runs commands: in a thread of this process by calling it, in a process of its own by `start`."""

    def __init__(self, address):
        self.address = address

    async def __call__(self, *args, stdin=None, columns=None, env=None, code=0):
        """Runs a command to its end, checks its exit code, and gives what it wrote."""
        environment = {
            "NIGHTCREW_ADDRESS": self.address,
            "COLUMNS": str(columns) if columns else None,
            **(env or {}),
        }
        result = await asyncio.to_thread(
            CliRunner().invoke,
            app,
            [str(one) for one in args],
            input=stdin,
            env=environment,
            prog_name="nightcrew",
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr)
        return result

    async def start(self, *args, env=None, stdin=asyncio.subprocess.DEVNULL):
        """Starts a command as a process."""
        environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT / 'runtime'}:{ROOT / 'client'}",
            "NIGHTCREW_ADDRESS": self.address,
            **(env or {}),
        }
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "nightcrew.cli.main",
            *map(str, args),
            stdin=stdin,
            stdout=pipe,
            stderr=pipe,
            env=environment,
        )


@pytest.fixture
async def peer():
    async with Peer() as running:
        yield running


@pytest.fixture
def cli(peer):
    return Cli(peer.address)
