"""Commands as programs: where they are, what they are given, and what their output and their exit mean."""

import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from nightcrew.domain.execution import ExecutionError
from nightcrew.domain.spec.program import CommandProgram
from nightcrew.domain.values import MAX_VALUE_BYTES
from nightcrew.ports.host import Job, ProgramSource
from nightcrew.programs.errors import LoadError
from nightcrew.programs.result import TOO_LARGE, read_json

RUNTIME: Final = "NIGHTCREW_RUNTIME"
"""The variable that marks whatever a runtime started: its data folder. Survivors are found by it."""
TAIL: Final = 4 * 1024


def folder_of(program: CommandProgram, source: ProgramSource) -> Path:
    """Where a command runs: its own folder, from that of the file that names it.

    Raises:
        LoadError: It is no folder.
    """
    folder = Path(source.root, program.working_directory)
    if not folder.is_dir():
        raise LoadError(f"the working directory {folder} of a command is no folder", path=source.path)
    return folder


def located(program: CommandProgram, source: ProgramSource, *, folder: Path, path: str) -> str:
    """The file of a command's program: from its folder if it is written with a slash, else from PATH.

    Raises:
        LoadError: There is none, or it is not executable.
    """
    name = program.argv[0]
    if os.sep not in name:
        found = shutil.which(name, path=path)
        if found is None:
            raise LoadError(f"the command {name!r} is not in PATH ({path})", path=source.path)
        return found
    file = folder / name
    if not file.is_file():
        raise LoadError(f"the command {file} does not exist", path=source.path)
    if not os.access(file, os.X_OK):
        raise LoadError(f"the command {file} is not executable: chmod +x it", path=source.path)
    return str(file)


def environment(
    program: CommandProgram, job: Job, *, minimal: Mapping[str, str], mark: str
) -> dict[str, str]:
    """All of a command's environment: the minimum, what it is told of its run, and what its file gives it."""
    return {
        **minimal,
        "NIGHTCREW_AGENT_ID": job.agent_id,
        "NIGHTCREW_EXECUTION_ID": job.execution_id,
        "NIGHTCREW_ATTEMPT": str(job.attempt),
        **program.env,
        RUNTIME: mark,
    }


class Stdout:
    """A command's stdout on its way: a line is told once another one has come, the last one may be the result.

    Args:
        say: Takes lines that are not the result.
    """

    def __init__(self, say: Callable[[bytes], None]) -> None:
        self._say = say
        self._whole = bytearray()
        self._last = b""
        self._line = bytearray()

    def take(self, data: bytes) -> None:
        """Takes what was printed; of all, and of a line, no more is kept than shows that it is too long."""
        if len(self._whole) <= MAX_VALUE_BYTES:
            self._whole += data
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._extend(part)
            self._end_line()
        self._extend(rest)

    def result(self) -> Any:
        """The result: all of it if that is JSON, else the last line if that is, else its text; None if it is empty.

        A text that is too long is an ExecutionError: the effect has happened.
        """
        self._end_line()
        for text in (self._whole, self._last):
            if len(text) <= MAX_VALUE_BYTES:
                try:
                    return read_json(text.decode("utf-8", "replace"))
                except ValueError:
                    continue
        if self._last:
            self._say(self._last)
        if len(self._whole) <= MAX_VALUE_BYTES:
            return self._whole.decode("utf-8", "replace").strip() or None
        message = f"stdout is over {MAX_VALUE_BYTES} bytes, and its last line is no JSON"
        return ExecutionError(type=TOO_LARGE, message=message, retryable=False)

    def _extend(self, part: bytes) -> None:
        if len(self._line) <= MAX_VALUE_BYTES:
            self._line += part

    def _end_line(self) -> None:
        line = bytes(self._line)
        self._line.clear()
        if line.strip():
            if self._last:
                self._say(self._last)
            self._last = line


def failure(code: int, tail: str, *, why: str = "") -> ExecutionError:
    """How a command that did not exit with 0 has failed: `exit_3`, `signal_SIGSEGV`.

    Args:
        code: Its exit code; negative is the signal that killed it.
        tail: The end of its stderr.
        why: What is known of it besides.
    """
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = str(-code)
        kind, said = f"signal_{name}", f"was killed by {name}"
    else:
        kind, said = f"exit_{code}", f"exited with {code}"
    message = f"the command {said}" + (f" ({why})" if why else "") + (f": {tail}" if tail else "")
    return ExecutionError(type=kind, message=message)
