"""From a Schedule as people write it to a Plan: every setting is checked and every default is filled in."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nightcrew.domain.durations import to_micros
from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.schedule.expression import parse_expression
from nightcrew.domain.schedule.local import LocalRule
from nightcrew.domain.schedule.plan import Plan
from nightcrew.domain.schedule.readings import CalendarDays, EveryNthDay, Readings
from nightcrew.domain.schedule.rule import DateRule, IntervalRule, Rule
from nightcrew.domain.spec.trigger import CatchUpMode, DstFold, DstGap, Interval, Schedule

T = TypeVar("T")

MIN_EVERY: Final = timedelta(milliseconds=100)
DEFAULT_WINDOWS: Final = {
    CatchUpMode.NONE: timedelta(0),
    CatchUpMode.LATEST: timedelta(days=365),
    CatchUpMode.ALL: timedelta(hours=24),
}

_LONGEST_WINDOW: Final = timedelta(days=36_525)
_ZERO: Final = timedelta(0)
_MICRO: Final = timedelta(microseconds=1)
_ZONE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_NO_ZONES: Final = re.compile(r"(localtime|posixrules|Factory|(posix|right)/.*)")
_REFERENCE: Final = to_micros(datetime(2026, 1, 1, tzinfo=UTC))
"""Where to begin to look whether a schedule ever fires in its zone; only a fixed instant keeps this pure."""


def compile_schedule(schedule: Schedule, *, field: str = "") -> Plan:
    """The plan of a schedule; plans of equal schedules are shared.

    Args:
        schedule: As it was written.
        field: The path of the schedule itself, put before every field named in the error.

    Raises:
        InvalidArgument: Names every setting that is wrong (`cron.expression`, `time_zone`, `interval.phase`…).
    """
    try:
        return _compiled(schedule)
    except InvalidArgument as error:
        raise error.within(field) from None


@lru_cache(maxsize=16_384)
def _compiled(schedule: Schedule) -> Plan:
    found: list[FieldViolation] = []
    rule = _rule(schedule, found)
    found += _window_faults(schedule)
    if found or rule is None:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)
    standard = Plan(rule=rule)
    catch_up = schedule.catch_up
    mode = (
        CatchUpMode.LATEST if catch_up is None or catch_up.mode is CatchUpMode.UNSPECIFIED else catch_up.mode
    )
    window = DEFAULT_WINDOWS[mode] if catch_up is None or catch_up.window is None else catch_up.window
    return Plan(
        rule=rule,
        start=standard.start if schedule.start_time is None else to_micros(schedule.start_time),
        end=standard.end if schedule.end_time is None else to_micros(schedule.end_time),
        jitter=0 if schedule.jitter is None else schedule.jitter // _MICRO,
        catch_up=mode,
        window=min(window, _LONGEST_WINDOW),
        max_fires=schedule.max_fires,
    )


def _rule(schedule: Schedule, found: list[FieldViolation]) -> Rule | None:
    """The rule of the schedule's kind, or None with the faults added to `found`."""
    zone = _try(found, "time_zone", lambda: _zone(schedule.time_zone or "UTC"))
    gap = DstGap.SHIFT if schedule.dst_gap is DstGap.UNSPECIFIED else schedule.dst_gap
    fold = DstFold.FIRST if schedule.dst_fold is DstFold.UNSPECIFIED else schedule.dst_fold
    if schedule.cron is not None:
        text = schedule.cron.expression
        if _try(found, "cron.expression", lambda: parse_expression(text)) is None or zone is None:
            return None
        return _try(found, "cron.expression", lambda: _cron(text, zone, gap, fold))
    if schedule.civil is not None:
        at = time.fromisoformat(schedule.civil.time_of_day)
        return None if zone is None else _civil(schedule.civil.days, at, zone, gap, fold)
    if schedule.date is not None:
        return DateRule(to_micros(schedule.date.time))
    return None if schedule.interval is None else _interval(schedule.interval, found)


def _interval(interval: Interval, found: list[FieldViolation]) -> Rule | None:
    phase = interval.phase or _ZERO
    if interval.every < MIN_EVERY:
        found.append(FieldViolation("interval.every", "must be at least 0.1s"))
    elif not _ZERO <= phase < interval.every:
        found.append(FieldViolation("interval.phase", "must be at least 0s and shorter than interval.every"))
    else:
        return IntervalRule(interval.every // _MICRO, phase // _MICRO)
    return None


@lru_cache(maxsize=16_384)
def _cron(text: str, zone: ZoneInfo, gap: DstGap, fold: DstFold) -> LocalRule:
    parsed = parse_expression(text)
    minutes = tuple(hour * 60 + minute for hour in parsed.hours for minute in parsed.minutes)
    readings = Readings(CalendarDays(parsed.months, parsed.days), minutes, parsed.seconds)
    rule = LocalRule(readings, zone, gap, fold, exact=parsed.every_hour)
    if rule.after(_REFERENCE) is None:
        raise ValueError(f"{text!r} never fires in {zone.key}: its times fall into gaps and dst_gap is SKIP")
    return rule


@lru_cache(maxsize=16_384)
def _civil(days: int, at: time, zone: ZoneInfo, gap: DstGap, fold: DstFold) -> LocalRule:
    return LocalRule(Readings(EveryNthDay(days), (at.hour * 60 + at.minute,), (at.second,)), zone, gap, fold)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        if _ZONE_NAME.fullmatch(name) and not _NO_ZONES.fullmatch(name):
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # the one message below is for all of them; a folder such as `Europe` is an OSError
    raise ValueError(f'must be a time zone of the IANA database such as "Europe/Berlin", not {name[:80]!r}')


def _window_faults(schedule: Schedule) -> list[FieldViolation]:
    found = []
    start, end, catch_up = schedule.start_time, schedule.end_time, schedule.catch_up
    if start is not None and end is not None and start >= end:
        found.append(FieldViolation("end_time", "must be after start_time"))
    if schedule.jitter is not None and schedule.jitter < _ZERO:
        found.append(FieldViolation("jitter", "must not be negative"))
    if catch_up is not None and catch_up.window is not None and catch_up.window < _ZERO:
        found.append(FieldViolation("catch_up.window", "must not be negative"))
    return found


def _try(found: list[FieldViolation], field: str, make: Callable[[], T]) -> T | None:
    try:
        return make()
    except ValueError as error:
        found.append(FieldViolation(field, str(error)))
        return None
