"""What people see: colours, the live top, and the question before an apply, on a real pseudo-terminal."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Terminal:
    """A command on a pseudo-terminal of 80 columns."""

    def __init__(self, address):
        self._address = address
        self.seen = ""

    async def start(self, *args):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "NO_COLOR"}}
        environment |= {
            "PYTHONPATH": f"{ROOT / 'runtime'}:{ROOT / 'client'}",
            "NIGHTCREW_ADDRESS": self._address,
            "TERM": "xterm-256color",
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nightcrew.cli.main", *map(str, args), stdin=slave, stdout=slave, stderr=slave,
            env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        asyncio.get_running_loop().add_reader(self._master, self._read)

    def _read(self):
        try:
            self.seen += os.read(self._master, 65536).decode(errors="replace")
        except OSError:  # the other side is gone
            asyncio.get_running_loop().remove_reader(self._master)

    def write(self, text):
        os.write(self._master, text.encode())

    async def until(self, text):
        async with asyncio.timeout(90):
            while text not in self.seen:
                await asyncio.sleep(0.01)

    async def ended(self):
        async with asyncio.timeout(90):
            return await self.process.wait()

    async def close(self):
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        with contextlib.suppress(OSError):
            os.close(self._master)


@pytest.fixture
async def terminal(peer):
    one = Terminal(peer.address)
    yield one
    await one.close()


async def test_states_have_colours_on_a_terminal(peer, terminal):
    peer.world.add_agent("digest", state=5)
    await terminal.start("agents", "list")
    assert await terminal.ended() == 0
    await terminal.until("\x1b[31mERROR")
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.seen)
    assert max(map(len, plain.splitlines())) <= 80


async def test_top_is_live_outlasts_a_restart_and_ends_with_ctrl_c(peer, terminal):
    run = peer.world.new_execution("digest", None, None)
    await terminal.start("top", "--interval", "50ms")
    await terminal.until(run.id)
    await peer.stop()
    await terminal.until("not reachable")
    other = peer.world.new_execution("echo", None, None)
    await peer.start()
    await terminal.until(other.id)
    terminal.process.send_signal(signal.SIGINT)
    assert await terminal.ended() == 130
    await terminal.until("\x1b[?1049l")  # the screen is as it was


@pytest.mark.parametrize(("answer", "code", "made"), [("y\n", 0, 1), ("n\n", 1, 0)])
async def test_apply_asks(peer, terminal, tmp_path, answer, code, made):
    path = tmp_path / "echo.yaml"
    path.write_text("id: echo\nspec:\n  program: {langflow: {flow: prompt_echo}}\n")
    await terminal.start("agents", "apply", "-f", path)
    await terminal.until("Do it?")
    assert "echo created" in terminal.seen
    assert not peer.world.agents
    terminal.write(answer)
    assert await terminal.ended() == code
    assert len(peer.world.agents) == made
