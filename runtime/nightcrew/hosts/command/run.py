"""One run of a command: started, listened to, asked to end, and its end turned into an outcome."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from nightcrew.domain.execution import ExecutionError
from nightcrew.domain.log import LogStream, Severity
from nightcrew.domain.secrets import without
from nightcrew.domain.spec.program import CommandProgram
from nightcrew.domain.values import encode
from nightcrew.hosts.command.settings import CommandSettings
from nightcrew.hosts.process.launch import Launched, Lines
from nightcrew.ports.clock import Clock
from nightcrew.ports.host import Cancelled, Failed, Interrupted, Job, LogSink, NotLoaded, Outcome, Succeeded
from nightcrew.programs.command import TAIL, Stdout, environment, failure, folder_of, located
from nightcrew.programs.errors import LoadError
from nightcrew.programs.result import result_text
from nightcrew.system.recorder import MAX_MESSAGE, Recorder

LAUNCHER: Final = Path(__file__).with_name("launcher.py")
_NUL: Final = "the command could not be started: a secret in its environment holds a NUL character"
_LAST_WORDS: Final = 1.0
"""Seconds in which what was printed just before the end is read; a process that left the group may hold the pipe."""


class CommandRun:
    """A command on its way from its start to its outcome.

    Args:
        job: What to run.
        sink: Takes what it says.
        settings: Its limits.
        minimal: The environment that every command has.
        mark: Says which runtime started it.
        clock: Gives log entries their time.
    """

    def __init__(
        self,
        job: Job,
        sink: LogSink,
        *,
        settings: CommandSettings,
        minimal: Mapping[str, str],
        mark: str,
        clock: Clock,
    ) -> None:
        self.job = job
        self._settings = settings
        self._minimal = minimal
        self._mark = mark
        self._recorder = Recorder(now=clock.now, emit=lambda entry: sink.write((entry,)))
        self._stdout = Stdout(self._said)
        self._errors = Lines(self._complained, limit=MAX_MESSAGE)
        self._tail = b""
        self._process: Launched | None = None
        self._cancelled = False
        self._killed = False
        self._excess: ExecutionError | None = None

    @property
    def group(self) -> int:
        """Its process group; 0 while there is none."""
        process = self._process
        return process.pid if process is not None and not process.gone else 0

    def cancel(self) -> None:
        """Asks it, and all that it started, to end (SIGTERM)."""
        self._cancelled = True
        if self._process is not None:
            self._process.signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it, and all that it started, by force."""
        self._killed = True
        if self._process is not None:
            self._process.kill_group()

    def exceed(self, error: ExecutionError) -> None:
        """Ends it by force for having taken too much; this is what it has failed of."""
        if self._process is not None and not self._process.gone and self._excess is None:
            self._excess = error
            self._process.kill_group()

    async def outcome(self) -> Outcome:
        """Runs it to its end; if the awaiting task is cancelled, it is killed."""
        program = self.job.program.command
        if program is None:
            raise TypeError(f"{self.job.program.kind} is no command")
        ours, theirs = socket.socketpair()
        with ours:
            try:
                with theirs, _file(encode(self.job.input).encode()) as given:
                    self._process = process = self._launched(program, theirs.fileno(), given)
            except LoadError as error:
                return NotLoaded(error.to_execution_error())
            except OSError as error:
                return Interrupted("worker_lost", f"the command could not be started: {error.strerror}")
            except ValueError:
                # What a secret stands for is known by now only.
                return Failed(ExecutionError(type="command_start", message=_NUL, retryable=False))
            if self._killed or self._cancelled:  # asked while it was being started
                process.signal_group(signal.SIGKILL if self._killed else signal.SIGTERM)
            try:
                return self._ended(await self._followed(process))
            finally:
                process.kill_group()
                self._recorder.close()

    def _launched(self, program: CommandProgram, pipe: int, given: IO[bytes]) -> Launched:
        source, settings = self.job.source, self._settings
        env = environment(program, self.job, minimal=self._minimal, mark=self._mark)
        folder = folder_of(program, source)
        file = located(program, source, folder=folder, path=env.get("PATH", ""))
        options = [pipe, os.getpid(), settings.cpu_seconds, settings.file_size]
        command = [sys.executable, "-I", "-S", str(LAUNCHER), *map(str, options), file, *program.argv]
        return Launched(command, pipe=pipe, stdin=given, env=env, folder=folder)

    async def _followed(self, process: Launched) -> int:
        """Its exit code, once everything that it has printed was taken."""
        output = asyncio.ensure_future(process.output(stdout=self._stdout.take, stderr=self._complaints))
        try:
            code = await process.exited()
            # What it left running goes, too; without this the ends of its pipes might never come.
            process.kill_group()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await output
        finally:
            output.cancel()
        self._errors.end()
        return code

    def _ended(self, code: int) -> Outcome:
        if self._killed:
            return Interrupted("killed")
        if self._excess is not None:
            return Failed(self._excess)
        if code == 0:
            return self._returned()
        if self._cancelled:
            return Cancelled()
        tail = self._shown(self._tail.decode("utf-8", "replace").strip())
        why = "it used all the CPU time that it may" if code == -signal.SIGXCPU else ""
        return Failed(failure(code, tail, why=why))

    def _returned(self) -> Outcome:
        value = self._stdout.result()
        text = value if isinstance(value, ExecutionError) else result_text(value)
        return Failed(text) if isinstance(text, ExecutionError) else Succeeded(self._shown(text))

    def _said(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        self._recorder.add(self._shown(text), stream=LogStream.STDOUT)

    def _complaints(self, data: bytes) -> None:
        # Cut at a line's beginning where there is one: the tail is read by people.
        self._tail = (self._tail + data)[-TAIL:]
        self._errors.take(data)

    def _complained(self, line: str) -> None:
        self._recorder.add(self._shown(line), severity=Severity.WARNING, stream=LogStream.STDERR)

    def _shown(self, text: str) -> str:
        return without(text, self.job.hidden)


def _file(content: bytes) -> IO[bytes]:
    """A file that holds this and is open for reading at its beginning.

    A command's stdin is a file and no pipe: it may read nothing, or close it, and nobody is held up.
    """
    file = (
        os.fdopen(os.memfd_create("input"), "w+b")
        if hasattr(os, "memfd_create")
        else tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    )
    file.write(content)
    file.seek(0)
    return file
