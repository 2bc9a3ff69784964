"""What every test of the hosts needs: jobs over program files, a sink that keeps, and waiting with a deadline."""

import asyncio
import contextlib
import dataclasses
import io
import logging
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest
import structlog
from tests.hosts.support.commands import MINIMAL, job_of
from tests.hosts.support.desk import DESK

from nightcrew.domain.addresses import Allowed
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.spec.program import Isolation, LangflowProgram, Program, PythonProgram
from nightcrew.hosts.command.host import CommandHost
from nightcrew.hosts.command.settings import CommandSettings
from nightcrew.hosts.process.host import ProcessHost, ProcessSettings
from nightcrew.ports.host import Job, ProgramSource
from nightcrew.programs.http import HttpRunner
from nightcrew.programs.python import forget_python
from nightcrew.system import capture
from nightcrew.system.addresses import Addresses
from nightcrew.system.clock import SystemClock
from nightcrew.system.logging import configure_logging
from nightcrew.system.outbound import HttpWayOut

DATA = Path(__file__).parent.parent / "data"
FLOWS = DATA / "flows"
WORKER_PROGRAMS = DATA / "worker_programs.py"


class Sink:
    """A LogSink that keeps everything."""

    def __init__(self):
        self.entries = []

    def write(self, entries):
        self.entries.extend(entries)

    def messages(self, stream=None):
        return [one.message for one in self.entries if stream is None or one.stream == stream]


class Programs:
    """Writes a module of programs and makes jobs for its functions."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.count = 0

    def write(self, text: str, name: str = "") -> str:
        name = name or f"prog_{self.folder.name.replace('-', '_')}"
        (self.folder / f"{name}.py").write_text(textwrap.dedent(text))
        return name

    def job(self, module: str, attribute: str, *, is_async=True, given=None, **changes) -> Job:
        self.count += 1
        source = ProgramSource(
            kind="python",
            name=f"{module}:{attribute}",
            path=str(self.folder / f"{module}.py"),
            root=str(self.folder),
            module=module,
            attribute=attribute,
            is_async=is_async,
        )
        job = Job(
            execution_id=f"execution-{self.count}",
            lease=1,
            agent_id="agent",
            attempt=1,
            program=Program(python=PythonProgram(entrypoint=source.name)),
            source=source,
            input=given or {},
            isolation=Isolation.INLINE if is_async else Isolation.POOL,
            trigger=TriggerRef(kind=TriggerKind.MANUAL),
            memory={},
        )
        return dataclasses.replace(job, **changes)

    def flow(self, name: str, *, given=None, program=None, trigger=None, **changes) -> Job:
        self.count += 1
        job = Job(
            execution_id=f"flow-{self.count}",
            lease=1,
            agent_id="flow-agent",
            attempt=1,
            program=Program(langflow=program or LangflowProgram(flow=name)),
            source=ProgramSource(kind="langflow", name=name, path=str(FLOWS / f"{name}.json"), is_async=True),
            input=given or {},
            isolation=Isolation.POOL,
            trigger=trigger or TriggerRef(kind=TriggerKind.MANUAL),
        )
        return dataclasses.replace(job, **changes)


@pytest.fixture
def http_runner():
    """Runs HTTP programs, to wherever they go on this machine."""
    clock = SystemClock()
    return HttpRunner(HttpWayOut(Addresses(Allowed(private=True))), agent="nightcrew/test", now=clock.now)


@pytest.fixture
def programs(tmp_path):
    return Programs(tmp_path)


@pytest.fixture
def capturing():
    return captured


@pytest.fixture
def sink():
    return Sink()


@contextlib.contextmanager
def captured():
    """The capture of a runtime's process; not a fixture, for pytest puts its own streams back before the call."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    configure_logging(stream=io.StringIO())
    capture.install()
    yield
    capture.uninstall()
    structlog.reset_defaults()
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.fixture(autouse=True)
def _clean_imports():
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("prog_"):
            del sys.modules[name]
    forget_python()


@pytest.fixture
def until():
    async def wait(condition, *, seconds=10.0, what="the condition"):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
            await asyncio.sleep(0.005)

    return wait


@contextlib.asynccontextmanager
async def _serving(**settings):
    host = ProcessHost(ProcessSettings(**{"workers": 1, **settings}))
    ready = asyncio.Event()
    life = asyncio.create_task(host.serve(ready.set))
    await ready.wait()
    try:
        yield host
    finally:
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life
        assert host.workers == []


@pytest.fixture
def serving():
    return _serving


@pytest.fixture
async def host():
    async with _serving() as made:
        yield made


@pytest.fixture
def module(programs):
    return programs.write(WORKER_PROGRAMS.read_text())


@pytest.fixture
def job(programs, module):
    def make(attribute, *, is_async=False, **rest):
        return programs.job(module, attribute, is_async=is_async, isolation=Isolation.POOL, **rest)

    return make


@pytest.fixture
def mark(tmp_path):
    return str(tmp_path / "mark")


@pytest.fixture
def gone():
    def ended(pid):
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return ended


@pytest.fixture
def command_host(tmp_path):
    def make(**settings) -> CommandHost:
        return CommandHost(
            CommandSettings(**settings), environment=MINIMAL, data=tmp_path / "data", clock=SystemClock()
        )

    return make


@pytest.fixture
async def run(tmp_path, command_host, sink):
    host = command_host()

    async def run(*argv, **rest):
        return await host.run(job_of(tmp_path, *argv, **rest), sink, DESK)

    run.host = host
    yield run
    assert host.running == 0


@pytest.fixture
def python(tmp_path):
    """The argv of a Python program of this text."""

    def write(text, name="program.py"):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return [sys.executable, str(tmp_path / name)]

    return write
