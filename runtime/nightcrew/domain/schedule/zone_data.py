"""What new time zone data may not change: a local time that has fired stays fired (semantics.md, Schedules)."""

from datetime import datetime

from nightcrew.domain.durations import from_micros, to_micros
from nightcrew.domain.schedule.local import LocalRule
from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.schedule.spans import span_at

_MICROS = 1_000_000


def offset_of(schedule: Plan, instant: datetime) -> int | None:
    """Seconds that the schedule's zone is off UTC at an instant; None where local readings do not decide.

    Intervals and dates are instants, and a cron whose hour field begins with `*` fires at every instant whose
    reading matches: none of them has a local time that could come again.
    """
    rule = schedule.rule
    if not isinstance(rule, LocalRule) or rule.exact:
        return None
    return span_at(rule.zone, to_micros(instant) // _MICROS).offset


def carried_over(schedule: Plan, cursor: datetime, offset: int | None) -> datetime:
    """The cursor under other time zone data than it was set with.

    Args:
        schedule: The schedule, compiled with the data of now.
        cursor: Every nominal time up to it was decided.
        offset: What `offset_of` said when it was set.
    """
    rule = schedule.rule
    if offset is None or not isinstance(rule, LocalRule) or rule.exact:
        return cursor
    micros = to_micros(cursor)
    second = micros // _MICROS
    now = span_at(rule.zone, second).offset
    # The clock shows that reading again later, where the zone has come nearer to UTC (or further behind it).
    again = second + offset - span_at(rule.zone, second + offset - now).offset
    return from_micros(micros + max(0, again - second) * _MICROS)
