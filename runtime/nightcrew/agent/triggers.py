"""What makes an agent run, as authors write it: cron, every, at, civil, on_event, on_webhook, resident."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from nightcrew.agent.arguments import Span, build, choice, renamed, span
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event_match import check_match
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.domain.spec.trigger import (
    CatchUp,
    CatchUpMode,
    Civil,
    Cron,
    Date,
    DstFold,
    DstGap,
    EventMatch,
    Interval,
    Resident,
    Schedule,
    Trigger,
    Webhook,
    WebhookScheme,
)


class Common(TypedDict, total=False):
    """What every trigger takes: `id`, `input` (merged over the agent's), `overlap`, `disabled`."""

    id: str
    input: Mapping[str, Any]
    overlap: str | OverlapPolicy
    disabled: bool


class Timing(Common, total=False):
    """What every schedule takes.

    `jitter` and `catch_up_window` are seconds or timedeltas, `catch_up` is none, latest or all, `start` is
    inclusive, `end` exclusive, `max_fires` 0 is no bound.
    """

    jitter: Span
    catch_up: str | CatchUpMode
    catch_up_window: Span
    start: datetime | str
    end: datetime | str
    max_fires: int


class ZonedTiming(Timing, total=False):
    """What schedules in local time take: `tz` (IANA), `dst_gap` (skip, shift), `dst_fold` (first, second, both)."""

    tz: str
    dst_gap: str | DstGap
    dst_fold: str | DstFold


def cron(expression: str, **options: Unpack[ZonedTiming]) -> Trigger:
    """Fires by a cron expression: 5 fields, 6 with seconds first, or a macro such as `@daily`.

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """
    return _schedule("cron", build(Cron, {"expression": expression}), options)


def every(
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
    phase: Span | None = None,
    **options: Unpack[Timing],
) -> Trigger:
    """Fires at `epoch + n × every + phase`; the lengths given are added, a day is 24 hours.

    Raises:
        InvalidArgument: Nothing was given, or an argument is wrong; it is named.
    """
    length = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
    if length <= timedelta(0):
        raise InvalidArgument.of("every", "needs seconds, minutes, hours or days that add to more than 0")
    return _schedule(
        "interval", build(Interval, {"every": length, "phase": span(phase, field="phase")}), options
    )


def at(time: datetime | str, **options: Unpack[Timing]) -> Trigger:
    """Fires once, at an instant that has a zone.

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """
    return _schedule("date", build(Date, {"time": time}), options)


def civil(days: int = 1, time: str = "00:00", **options: Unpack[ZonedTiming]) -> Trigger:
    """Fires every `days` local days at `time` (`HH:MM[:SS]`).

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """
    kind = build(Civil, {"days": days, "time_of_day": time}, names={"time_of_day": "time"})
    return _schedule("civil", kind, options)


def on_event(
    *types: str,
    source: str = "",
    subject: str = "",
    filter: str = "",  # noqa: A002 - the contract's word
    allow_self: bool = False,
    source_url: str = "",
    **options: Unpack[Common],
) -> Trigger:
    """Fires for events of these types (exact, or a prefix that ends with `*`).

    With `source_url`, such as `nats://host:4222/shop.orders`, for those that this broker brings; of any type if
    none is given.

    Raises:
        InvalidArgument: No type was given, or an argument is wrong; it is named.
    """
    if not types and not source_url:
        raise InvalidArgument.of("types", 'needs an event type, such as "shop.order.created" or "shop.*"')
    match_on = build(
        EventMatch,
        {
            "types": types or None,
            "source": source,
            "subject": subject,
            "filter": filter,
            "allow_self": allow_self,
            "source_url": source_url,
        },
    )
    check_match(match_on)  # here, so that a fault is told with the author's file and line
    return _trigger("event", {"event": match_on}, options)


def on_webhook(
    verify: str | WebhookScheme = "standard",
    *,
    secrets: str | Sequence[str] = (),
    **options: Unpack[Common],
) -> Trigger:
    """Fires for requests to the agent's hook; `verify` is standard, github, stripe, slack, bearer or none.

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """
    given = (secrets,) if isinstance(secrets, str) else tuple(secrets)
    hook = build(Webhook, {"scheme": choice(verify, WebhookScheme, field="verify"), "secrets": given or None})
    return _trigger("webhook", {"webhook": hook}, options)


def resident(**options: Unpack[Common]) -> Trigger:
    """Runs as long as the agent is ACTIVE, and is restarted by its restart policy.

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """
    return _trigger("resident", {"resident": Resident()}, options)


def numbered(triggers: Sequence[Trigger]) -> tuple[Trigger, ...]:
    """The triggers with ids of their own: one that nobody named is its kind, then `cron-2`, `cron-3`."""
    taken = {one.id for one in triggers if "id" in one.model_fields_set}
    out = []
    for one in triggers:
        if "id" in one.model_fields_set:
            out.append(one)
            continue
        name, count = one.id, 1
        while name in taken:
            count += 1
            name = f"{one.id}-{count}"
        taken.add(name)
        out.append(one.model_copy(update={"id": name}))
    return tuple(out)


_COMMON = frozenset(Common.__annotations__)
_TIMING = frozenset(Timing.__annotations__)
_ZONED = frozenset(ZonedTiming.__annotations__)
_LOCAL_KINDS = frozenset({"cron", "civil"})
_SCHEDULE_NAMES = {
    "cron.expression": "expression",
    "interval.every": "every",
    "interval.phase": "phase",
    "civil.days": "days",
    "civil.time_of_day": "time",
    "date.time": "time",
    "start_time": "start",
    "end_time": "end",
    "time_zone": "tz",
    "catch_up.window": "catch_up_window",
    "catch_up.mode": "catch_up",
}


def _schedule(kind: str, spec: Cron | Interval | Civil | Date, options: ZonedTiming | Timing) -> Trigger:
    given: dict[str, Any] = dict(options)
    _known(kind, given, _ZONED if kind in _LOCAL_KINDS else _TIMING)
    window = span(given.get("catch_up_window"), field="catch_up_window")
    mode = choice(given.get("catch_up"), CatchUpMode, field="catch_up")
    schedule = build(
        Schedule,
        {
            kind: spec,
            "time_zone": given.get("tz"),
            "start_time": given.get("start"),
            "end_time": given.get("end"),
            "jitter": span(given.get("jitter"), field="jitter"),
            "catch_up": CatchUp(mode=mode, window=window)
            if mode != CatchUpMode.UNSPECIFIED or window
            else None,
            "dst_gap": choice(given.get("dst_gap"), DstGap, field="dst_gap"),
            "dst_fold": choice(given.get("dst_fold"), DstFold, field="dst_fold"),
            "max_fires": given.get("max_fires"),
        },
        names=_SCHEDULE_NAMES,
    )
    try:
        # Compiled here so that a fault is told with the author's file and line.
        compile_schedule(schedule)
    except InvalidArgument as error:
        raise renamed(error, _SCHEDULE_NAMES) from None
    common = {name: value for name, value in given.items() if name in _COMMON}
    return _trigger(kind, {"schedule": schedule}, common)


def _trigger(kind: str, spec: Mapping[str, Any], options: Common | Mapping[str, Any]) -> Trigger:
    given: dict[str, Any] = dict(options)
    _known(kind, given, _COMMON)
    values = {
        **spec,
        "id": given.get("id", kind),
        "input": given.get("input"),
        "overlap": choice(given.get("overlap"), OverlapPolicy, field="overlap"),
        "disabled": given.get("disabled"),
    }
    trigger = build(Trigger, values)
    if "id" not in given:
        # An id that nobody chose is not among the fields that were set: `numbered` makes it unique.
        trigger.model_fields_set.discard("id")
    return trigger


def _known(kind: str, given: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidArgument.of(name, f"is no argument of {kind}; there are {', '.join(sorted(known))}")
