"""Starting a worker's process, and following it: its exit, and what it prints by itself."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Final

_MAX_LINE: Final = 8 * 1024
_CHUNK: Final = 64 * 1024


class Launched:
    """A process of `nightcrew.hosts.process.worker`, in a group of its own.

    It is started by `subprocess`, whatever the loop: that uses vfork, while libuv (under uvloop) forks, and a
    fork runs the handlers that gRPC has set for it, which crash the child now and then.

    Args:
        pipe: The descriptor that the worker talks over.
        flows: Whether it loads lfx.
        log_level: For its own log.

    Raises:
        OSError: It can't be started.
    """

    def __init__(self, pipe: int, *, flows: bool, log_level: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._popen = subprocess.Popen(  # noqa: S603 - our own module under our own interpreter
            [
                sys.executable,
                # Not the working directory: a file there must not stand in for a library.
                "-P",
                # Unbuffered, and with a Python stack on a fault: what it says before it crashes is in the log.
                "-u",
                "-X",
                "faulthandler",
                "-m",
                "nightcrew.hosts.process.worker",
                f"--pipe={pipe}",
                f"--parent={os.getpid()}",
                f"--log-level={log_level}",
                *(["--flows"] if flows else []),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(pipe,),
            # Ctrl-C does not reach it, and a kill takes what it started along.
            start_new_session=True,
        )
        self.pid = self._popen.pid
        # A thread: asyncio's ways to wait for a child differ by loop, platform and version.
        threading.Thread(target=self._wait, name=f"wait:{self.pid}", daemon=True).start()

    @property
    def gone(self) -> bool:
        """Whether it has exited."""
        return self._popen.returncode is not None

    async def exited(self) -> int:
        """Its exit code once it has exited; negative is the signal that killed it."""
        return await asyncio.shield(self._exited)

    def kill_group(self) -> None:
        """Kills it and everything it started; after its exit, what it left running."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def output(self, said: Callable[[str, str], None]) -> None:
        """Tells `said(stream, line)` of everything it prints, until both streams have ended."""
        async with asyncio.TaskGroup() as group:
            for name, stream in (("stdout", self._popen.stdout), ("stderr", self._popen.stderr)):
                if stream is not None:
                    group.create_task(_lines(name, stream, said))

    def _wait(self) -> None:
        code = self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._tell, code)

    def _tell(self, code: int) -> None:
        if not self._exited.done():
            self._exited.set_result(code)


async def _lines(name: str, stream: IO[bytes], said: Callable[[str, str], None]) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), stream
    )
    try:
        rest = b""
        while data := await reader.read(_CHUNK):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _say(name, line, said)
            if len(rest) > _MAX_LINE:
                _say(name, rest, said)
                rest = b""
        _say(name, rest, said)
    finally:
        transport.close()


def _say(name: str, line: bytes, said: Callable[[str, str], None]) -> None:
    text = line[:_MAX_LINE].decode("utf-8", "replace").rstrip()
    if text:
        said(name, text)
