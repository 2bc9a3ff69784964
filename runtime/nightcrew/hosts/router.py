"""Which host runs a job: the loop, worker processes, or a process of the job's own for commands."""

from typing import Final

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.program import Isolation
from nightcrew.ports.host import Desk, Host, Job, LogSink, Outcome, ProgramSource

_ONLY: Final = {
    "command": (Isolation.DEDICATED, "a command is always a process of its own"),
    "http": (Isolation.INLINE, "an HTTP program needs no process: it only waits"),
}


def resolve_isolation(
    isolation: Isolation, source: ProgramSource, *, field: str = "spec.isolation"
) -> Isolation:
    """Where a program runs: its spec's choice, or its own default (docs/design.md, Where programs run).

    Raises:
        InvalidArgument: It can't run where it is asked to.
    """
    if source.kind in _ONLY:
        only, why = _ONLY[source.kind]
        if isolation not in {Isolation.UNSPECIFIED, only}:
            raise InvalidArgument.of(field, f"{why}; use {only}, or leave it out")
        return only
    may_inline = source.kind == "python" and source.is_async
    match isolation:
        case Isolation.UNSPECIFIED:
            return Isolation.INLINE if may_inline else Isolation.POOL
        case Isolation.INLINE if not may_inline:
            what = "a sync function" if source.kind == "python" else "a flow"
            raise InvalidArgument.of(
                field, f"{what} never runs on the event loop; use ISOLATION_POOL or ISOLATION_DEDICATED"
            )
        case _:
            return isolation


class RoutingHost:
    """One host over three (ports.host.Host).

    Args:
        inline: Runs HTTP programs, and jobs whose isolation is INLINE, save those that are to have a worker of
            their own.
        process: Runs the other functions and flows.
        command: Runs commands.
    """

    def __init__(self, inline: Host, process: Host, command: Host) -> None:
        self._inline = inline
        self._process = process
        self._command = command

    async def run(self, job: Job, sink: LogSink, desk: Desk) -> Outcome:
        """Runs one attempt where it belongs."""
        return await self._host_of(job).run(job, sink, desk)

    def arrived(self, execution_id: str, lease: int) -> None:
        """Passed to all: one that does not have it does nothing."""
        for host in (self._inline, self._process, self._command):
            host.arrived(execution_id, lease)

    def cancel(self, execution_id: str, lease: int) -> None:
        """Passed to all: one that does not have it does nothing."""
        for host in (self._inline, self._process, self._command):
            host.cancel(execution_id, lease)

    def kill(self, execution_id: str, lease: int) -> None:
        """Passed to all: one that does not have it does nothing."""
        for host in (self._inline, self._process, self._command):
            host.kill(execution_id, lease)

    def _host_of(self, job: Job) -> Host:
        match job.source.kind:
            case "command":
                return self._command
            case "http":
                return self._inline
            case _:
                return (
                    self._inline
                    if job.isolation is Isolation.INLINE and not job.own_worker
                    else self._process
                )
