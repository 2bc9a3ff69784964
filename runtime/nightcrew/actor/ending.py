"""The end of a supervisor's children: right to left within their limits, and at once when time runs out."""

import asyncio
import logging
from collections.abc import Sequence

from nightcrew.actor.member import Member

_log = logging.getLogger(__name__)


async def stop_all(supervisor: str, members: Sequence[Member]) -> None:
    """Stops every member and waits for its end; none is running, and none comes back, when this is over.

    Those added while the supervisor ran stop first and all at once, then the others from right to left. A
    cancel meanwhile kills what still runs; it is raised when all have ended.
    """
    for member in members:
        if member.run is None:
            member.stop()  # calls its back-off off
    again: asyncio.CancelledError | None = None
    while True:
        try:
            await _stop_in_order(members)
            break
        except asyncio.CancelledError as error:
            again = error
            _log.warning("supervisor %s is out of time: kills what still runs", supervisor)
            for member in members:
                member.kill()
    if again is not None:
        raise again


async def _stop_in_order(members: Sequence[Member]) -> None:
    dynamic = [member for member in members if member.dynamic]
    fixed = [[member] for member in reversed(members) if not member.dynamic]
    for group in (dynamic, *fixed):
        runs = [member.run for member in group if member.run is not None]
        for member in group:
            member.stop()
        for run in runs:
            await run.wait_ended()
