"""The end of the host, and of the runtime's whole process: no worker outlives it."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.hosts.support.desk import DESK

from nightcrew.domain.errors import Unavailable
from nightcrew.hosts.process.host import ProcessHost
from nightcrew.ports.host import Interrupted


async def test_it_is_not_run_when_it_is_not_served(job, sink):
    with pytest.raises(Unavailable):
        await ProcessHost().run(job("echo"), sink, DESK)


async def test_the_end_of_the_host_ends_its_runs(serving, gone, job, sink, mark, until):
    async with serving() as host:
        run = asyncio.create_task(host.run(job("sleeps", given={"mark": mark}), sink, DESK))
        await until(lambda: Path(mark).exists())
        pid = host.workers[0].pid
    outcome = await run
    assert isinstance(outcome, Interrupted)
    assert outcome.reason == "drained"
    assert gone(pid)


async def test_the_end_of_the_host_while_a_worker_starts(serving, job, sink):
    async with serving() as host:
        run = asyncio.create_task(host.run(job("echo"), sink, DESK))
        await asyncio.sleep(0)
    outcome = await run
    assert isinstance(outcome, Interrupted)
    assert outcome.reason == "drained"


RUNTIME = """
import asyncio, sys
sys.path[:0] = {path!r}
from tests_support import job
from nightcrew.hosts.process.host import ProcessHost, ProcessSettings

class Sink:
    def write(self, entries): pass

async def main():
    host = ProcessHost(ProcessSettings(workers=2))
    ready = asyncio.Event()
    life = asyncio.create_task(host.serve(ready.set))
    await ready.wait()
    await asyncio.gather(*[host.run(job(n), Sink(), None) for n in range(3)])

asyncio.run(main())
"""

SUPPORT = """
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.spec.program import Isolation, Program, PythonProgram
from nightcrew.ports.host import Job, ProgramSource

def job(n):
    attribute, is_async = [("starts_a_child", False), ("ablocks", True), ("starts_a_child", False)][n]
    source = ProgramSource(kind="python", name="{module}:x", path="{folder}/{module}.py", root="{folder}",
                           module="{module}", attribute=attribute, is_async=is_async)
    return Job(execution_id=str(n), lease=1, agent_id="a", attempt=1, source=source,
               program=Program(python=PythonProgram(entrypoint="m:f")), input={{"mark": "{folder}/mark%d" % n}},
               isolation=Isolation.POOL, trigger=TriggerRef(kind=TriggerKind.MANUAL))
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL])
async def test_no_worker_survives_the_runtime(gone, module, tmp_path, until, stop):
    (tmp_path / "tests_support.py").write_text(SUPPORT.format(module=module, folder=tmp_path))
    (tmp_path / "runtime.py").write_text(RUNTIME.format(path=[str(tmp_path)]))
    runtime = subprocess.Popen(
        [sys.executable, str(tmp_path / "runtime.py")],
        env=os.environ | {"PYTHONPATH": ":".join(one for one in sys.path if one)},
    )
    try:
        await until(lambda: all((tmp_path / f"mark{n}").exists() for n in range(3)), seconds=30)
        family = psutil.Process(runtime.pid).children(recursive=True)
        assert len(family) >= 4, "two workers, and what they started"
    finally:
        runtime.send_signal(stop)
        runtime.wait()
    await until(lambda: all(gone(one.pid) for one in family), what="every process's end")
