"""A runtime as its users meet it: `nightcrew up` in a process of its own, started, stopped, killed and looked at."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from tests.harness.waiting import until

NIGHTCREW = [str(Path(sys.executable).with_name("nightcrew"))]
UP = [*NIGHTCREW, "up"]
GRPCURL = Path(sys.executable).with_name("grpcurl")
READY = re.compile(r"^nightcrew is ready grpc=(\S+) http=(\S+)$", re.MULTILINE)
MARK = "E2E_MARK"
"""Set in the runtime's environment: whatever it starts inherits it, so nothing that is left over can hide."""


class RuntimeProcess:
    """One data folder and the runtimes that serve it, one after the other.

    Args:
        folder: Holds the data folder, and what the runtimes print.
        paths: What `up` is given.
        flags: More flags of `up`.
        env: More of its environment.
    """

    def __init__(
        self,
        folder: Path,
        paths: Sequence[Path] = (),
        *,
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.data = folder / "data"
        self.paths = list(paths)
        self.flags = list(flags)
        self.address = "127.0.0.1:0"
        self.web = "127.0.0.1:0"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.mark = uuid.uuid4().hex
        # COLUMNS, too: where tests run in parallel it is 80, and tables would be cut.
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("NIGHTCREW_") and name != "COLUMNS"
        }
        self._env = {**inherited, MARK: self.mark, **(env or {})}
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)

    # ---- its life ----------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Starts it without waiting; the ports of the first start are kept by all that follow."""
        assert not self.alive, "it runs already"
        self.starts += 1
        command = [*UP, *map(str, self.paths), "--data", str(self.data)]
        command += ["--grpc", self.address, "--http", self.web, *self.flags]
        with self._printed("stdout").open("wb") as out, self._printed("stderr").open("wb") as err:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=self._env, cwd=self._folder
            )

    def start(self, *, within: float = 30.0) -> "RuntimeProcess":
        """Starts it and waits for the line that says it is ready."""
        self.launch()
        until(lambda: self.is_ready or not self.alive, within=within, what="the ready line", say=self.said)
        assert self.is_ready, f"it ended with {self.code} before it was ready\n{self.said()}"
        return self

    @property
    def is_ready(self) -> bool:
        """Whether this start has said that it serves; takes the addresses from there."""
        found = READY.search(self.stdout())
        if found:
            self.address, self.web = found[1], found[2]
        return found is not None

    def term(self) -> None:
        """Asks it to drain and end."""
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self._running().send_signal(number)

    def wait(self, within: float = 30.0) -> int:
        """Its exit code; nothing that it started may outlive it."""
        process = self._running()
        try:
            code = process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended within {within} s\n{self.said()}") from None
        self.assert_nothing_left()
        return code

    def stop(self, within: float = 30.0) -> int:
        """SIGTERM, and its exit code."""
        self.term()
        return self.wait(within)

    def kill(self) -> None:
        """kill -9; its workers must go with it."""
        self._running().kill()
        self._running().wait()
        self.assert_nothing_left()

    def end(self) -> None:
        """For clean-up: whatever still runs is killed."""
        if self.process is not None and self.alive:
            self.process.kill()
            self.process.wait()
        for one in self.family():
            with contextlib.suppress(psutil.Error):
                one.kill()

    # ---- looking at it -----------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def code(self) -> int | None:
        """Its exit code, or None."""
        return self._running().poll()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running().pid

    def stdout(self) -> str:
        """What this start has printed to stdout."""
        return self._printed("stdout").read_text(errors="replace")

    def stderr(self) -> str:
        """What this start has logged."""
        return self._printed("stderr").read_text(errors="replace")

    def said(self) -> str:
        """Both, for messages."""
        return f"--- stdout\n{self.stdout()[-2000:]}\n--- stderr\n{self.stderr()[-8000:]}"

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        return [one for one in psutil.Process(self.pid).children() if one.status() != psutil.STATUS_ZOMBIE]

    def family(self) -> list[psutil.Process]:
        """Every process that descends from it and lives, whoever its parent is now."""
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                same = one.environ().get(MARK) == self.mark
                if same and one.status() != psutil.STATUS_ZOMBIE:
                    found.append(one)
        return found

    def assert_nothing_left(self, within: float = 5.0) -> None:
        """Fails if a process that it started is still there."""
        until(
            lambda: not self.family(),
            within=within,
            what="the end of all that the runtime started",
            say=lambda: f"left over: {[(one.pid, one.cmdline()) for one in self.family()]}",
        )

    def memory(self) -> int:
        """The resident bytes of the runtime's own process."""
        resident: int = psutil.Process(self.pid).memory_info().rss
        return resident

    # ---- commands ----------------------------------------------------------------------------------------

    def grpcurl(
        self, method: str, body: str = "", *, flags: Sequence[str] = ()
    ) -> "subprocess.CompletedProcess[str]":
        """Runs the real grpcurl against it."""
        data = ["-d", body] if body else []
        return run([str(GRPCURL), "-plaintext", *flags, *data, self.address, method], env=self._env)

    def cli(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Runs the command line against it."""
        return run([*NIGHTCREW, *words, "--address", self.address], env=self._env)

    def _printed(self, stream: str) -> Path:
        return self._folder / f"up-{self.starts}.{stream}"

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None, "it was not started"
        return self.process


def run(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, within: float = 30.0
) -> "subprocess.CompletedProcess[str]":
    """Runs a command to its end and gives its code and what it printed."""
    return subprocess.run(command, capture_output=True, text=True, timeout=within, env=env, check=False)
