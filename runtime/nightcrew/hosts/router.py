"""Which host runs a job: the loop for inline ones, worker processes for the rest."""

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.program import Isolation
from nightcrew.ports.host import Host, Job, LogSink, Outcome, ProgramSource


def resolve_isolation(
    isolation: Isolation, source: ProgramSource, *, field: str = "spec.isolation"
) -> Isolation:
    """Where a program runs: its spec's choice, or its own default (async python INLINE, all else POOL).

    Raises:
        InvalidArgument: INLINE was asked for a sync function or a flow.
    """
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
    """One host over two (ports.host.Host).

    Args:
        inline: Runs jobs whose isolation is INLINE, save those that are to have a worker of their own.
        process: Runs the others.
    """

    def __init__(self, inline: Host, process: Host) -> None:
        self._inline = inline
        self._process = process

    async def run(self, job: Job, sink: LogSink) -> Outcome:
        """Runs one attempt where it belongs."""
        inline = job.isolation is Isolation.INLINE and not job.own_worker
        return await (self._inline if inline else self._process).run(job, sink)

    def cancel(self, execution_id: str, lease: int) -> None:
        """Passed to both: the one that does not have it does nothing."""
        self._inline.cancel(execution_id, lease)
        self._process.cancel(execution_id, lease)

    def kill(self, execution_id: str, lease: int) -> None:
        """Passed to both: the one that does not have it does nothing."""
        self._inline.kill(execution_id, lease)
        self._process.kill(execution_id, lease)
