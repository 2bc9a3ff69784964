"""The next fires of a schedule as PreviewSchedule shows them, with what clock changes did to them."""

from dataclasses import dataclass
from datetime import datetime

from nightcrew.domain.schedule.plan import Plan


@dataclass(frozen=True, slots=True)
class Preview:
    """One fire to come; `note` is empty unless a clock change moved it, doubled it or dropped one before it."""

    nominal_time: datetime
    note: str = ""


def preview(schedule: Plan, after: datetime, count: int) -> list[Preview]:
    """The first `count` fires strictly after an instant, fewer when the schedule ends; jitter is not in them."""
    found: list[Preview] = []
    at = after
    while len(found) < count and (following := schedule.next_after(at)) is not None:
        found.append(Preview(following, schedule.note(at, following)))
        at = following
    return found
