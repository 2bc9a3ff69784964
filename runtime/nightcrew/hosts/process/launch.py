"""Starting a process in a group of its own, and following it: its exit, and what it prints."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

MAX_LINE: Final = 8 * 1024
_CHUNK: Final = 16 * 1024
"""Bytes that are looked at before the loop turns to others."""


def worker_command(pipe: int, *, flows: bool, log_level: str) -> list[str]:
    """The command of a worker process.

    Args:
        pipe: The descriptor that the worker talks over.
        flows: Whether it loads lfx.
        log_level: For its own log.
    """
    return [
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
    ]


class Launched:
    """A process in a group of its own.

    It is started by `subprocess`, whatever the loop: that uses vfork, while libuv (under uvloop) forks, and a
    fork runs the handlers that gRPC has set for it, which crash the child now and then.

    Args:
        command: The program, by its path, and its arguments.
        pipe: The descriptor by whose end it notices that the runtime has gone.
        stdin: Where its stdin is read from; nothing to read by default.
        env: All of its environment; the runtime's own by default.
        folder: Where it runs; where the runtime runs by default.

    Raises:
        OSError: It can't be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        pipe: int,
        stdin: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[int] = self._loop.create_future()
        self._popen = subprocess.Popen(  # noqa: S603 - our own module, or a command that a file of the user's names
            list(command),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(pipe,),
            env=env,
            cwd=folder,
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

    def signal_group(self, number: signal.Signals) -> None:
        """Sends a signal to it and everything it started; after its exit, to what it left running."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def kill_group(self) -> None:
        """Kills it and everything it started; after its exit, what it left running."""
        self.signal_group(signal.SIGKILL)

    async def output(self, *, stdout: Callable[[bytes], None], stderr: Callable[[bytes], None]) -> None:
        """Hands over everything it prints, as it comes, until both streams have ended."""
        async with asyncio.TaskGroup() as group:
            for take, stream in ((stdout, self._popen.stdout), (stderr, self._popen.stderr)):
                if stream is not None:
                    group.create_task(_read(stream, take))

    def _wait(self) -> None:
        code = self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._tell, code)

    def _tell(self, code: int) -> None:
        if not self._exited.done():
            self._exited.set_result(code)


async def _read(stream: IO[bytes], take: Callable[[bytes], None]) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), stream
    )
    try:
        while data := await reader.read(_CHUNK):
            take(data)
    finally:
        transport.close()


class Lines:
    """Cuts bytes into lines of text; one that is longer than `limit` is cut, too.

    Args:
        say: Takes each line that is not empty, without its end.
        limit: Bytes of a line.
    """

    def __init__(self, say: Callable[[str], None], *, limit: int = MAX_LINE) -> None:
        self._say = say
        self._limit = limit
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Takes what was printed."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._rest) > self._limit:
            self.end()

    def end(self) -> None:
        """Says what is left: no more comes."""
        rest, self._rest = self._rest, b""
        self._tell(rest)

    def _tell(self, line: bytes) -> None:
        text = line[: self._limit].decode("utf-8", "replace").rstrip()
        if text:
            self._say(text)
