"""What tests of commands share: jobs, a shell, and processes that are started and looked at."""

import asyncio
import contextlib
import dataclasses

import psutil

from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.log import LogStream
from nightcrew.domain.spec.program import CommandProgram, Isolation, Program
from nightcrew.ports.host import Job, ProgramSource

SHELL = "/bin/sh"
MINIMAL = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


def job_of(folder, *argv, given=None, **changes) -> Job:
    program = Program(
        command=CommandProgram(
            argv=argv, **{k: changes.pop(k) for k in ("env", "working_directory") if k in changes}
        )
    )
    job = Job(
        execution_id="execution-1",
        lease=1,
        agent_id="agent",
        attempt=2,
        program=program,
        source=ProgramSource(
            kind="command", name=argv[0], path=str(folder / "agents.yaml"), root=str(folder)
        ),
        input=given or {},
        isolation=Isolation.DEDICATED,
        trigger=TriggerRef(kind=TriggerKind.MANUAL),
    )
    return dataclasses.replace(job, **changes)


def sh(text):
    return [SHELL, "-c", text]


async def started(run, sink, *argv, **rest):
    task = asyncio.create_task(run(*argv, **rest))
    async with asyncio.timeout(10):
        while not sink.messages(LogStream.STDERR):
            await asyncio.sleep(0.005)
    return task


def alive(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
