"""The seed's trigger_type and trigger_config as a trigger of an agent, and back."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.event import OWN_PREFIX
from nightcrew.domain.event_match import check_match
from nightcrew.domain.spec.trigger import EventMatch, Schedule, Trigger
from nightcrew.gateway.web.rest.answers import TriggerType
from nightcrew.gateway.web.rest.bodies import (
    CronConfig,
    DateConfig,
    EventConfig,
    Given,
    IntervalConfig,
    WebhookConfig,
)
from nightcrew.gateway.web.rest.cron_fields import expression_of, fields_of

FIELD: Final = "trigger_config"
LONGEST: Final = timedelta(days=36_525)
"""Of an interval: a hundred years."""
_PUBLISHED: Final = f'!event.type.startsWith("{OWN_PREFIX}")'
_OF_ANY_TYPE: Final = re.compile(rf"{re.escape(_PUBLISHED)}(?: && \((.*)\))?", re.DOTALL)
_UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")


def trigger_of(config: Given) -> dict[str, Any]:
    """The JSON of the kind that a config makes: `{"schedule": {…}}`, `{"webhook": {…}}` or `{"event": {…}}`.

    Raises:
        InvalidArgument: Names every field of the config that is wrong.
    """
    match config:
        case CronConfig():
            given = {name: value for name, value in config if name in config.model_fields_set - {"timezone"}}
            clock = {name: value for name, value in given.items() if value is not None}
            expression = expression_of(clock, field=FIELD)
            return {"schedule": {"cron": {"expression": expression}, "time_zone": config.timezone}}
        case IntervalConfig():
            return {"schedule": {"interval": {"every": _every(config)}}}
        case DateConfig():
            return {"schedule": {"date": {"time": _instant(config.run_date)}}}
        case WebhookConfig():
            secrets = [] if config.secret is None else [config.secret]
            return {"webhook": {"scheme": "SCHEME_STANDARD", "secrets": secrets}}
        case EventConfig():
            return {"event": _event(config)}
    raise TypeError(f"{type(config).__name__} makes no trigger")


def type_of(trigger: Trigger) -> TriggerType | None:
    """What the seed calls a trigger; None for kinds that it did not have."""
    if trigger.webhook is not None:
        return TriggerType.WEBHOOK
    if trigger.event is not None:
        return TriggerType.EVENT
    if trigger.schedule is not None:
        return _SCHEDULES.get(trigger.schedule.kind)
    return None


def config_of(trigger: Trigger) -> dict[str, Any]:
    """The config that makes a trigger, whoever wrote it; secrets are not in it."""
    if trigger.event is not None:
        event = trigger.event
        found = _OF_ANY_TYPE.fullmatch(event.filter)
        first = event.types[0] if event.types else ""
        said = {"type": first, "source": event.source, "filter": found[1] if found else event.filter}
        return {name: value for name, value in said.items() if value}
    return {} if trigger.schedule is None else _config_of_schedule(trigger.schedule)


_SCHEDULES: Final[Mapping[str, TriggerType]] = {
    "cron": TriggerType.CRON,
    "interval": TriggerType.INTERVAL,
    "date": TriggerType.DATE,
}


def _config_of_schedule(schedule: Schedule) -> dict[str, Any]:
    if schedule.cron is not None:
        return {**fields_of(schedule.cron.expression), "timezone": schedule.time_zone or "UTC"}
    if schedule.date is not None:
        return {"run_date": schedule.date.time.isoformat()}
    if schedule.interval is None:
        return {}
    return _units(schedule.interval.every)


def _units(every: timedelta) -> dict[str, int | float]:
    """An interval in the largest units that divide it: 90 minutes are an hour and 30 minutes."""
    out: dict[str, int | float] = {}
    rest = every
    for unit in _UNITS[:-1]:
        count, rest = divmod(rest, timedelta(**{unit: 1}))
        if count:
            out[unit] = count
    if rest or not out:
        seconds = rest.total_seconds()
        out["seconds"] = int(seconds) if seconds.is_integer() else seconds
    return out


def _every(config: IntervalConfig) -> timedelta:
    try:
        every = timedelta(**dict(config))
    except OverflowError:
        every = timedelta.max
    if every > LONGEST:
        raise InvalidArgument.of(FIELD, f"must be at most {LONGEST.days} days in all")
    return every


def _event(config: EventConfig) -> dict[str, Any]:
    """What an event must be. Without a type it is one that was published.

    The outcomes of agents are events too: two agents that run at any event would run for each other without end.
    """
    if config.filter:
        try:
            check_match(EventMatch(filter=config.filter))
        except InvalidArgument as error:
            raise error.within(FIELD) from error
    if config.type:
        return {"types": [config.type], "source": config.source, "filter": config.filter}
    alone = f"{_PUBLISHED} && ({config.filter})" if config.filter else _PUBLISHED
    return {"types": [], "source": config.source, "filter": alone}


def _instant(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument.of(
            f"{FIELD}.run_date", f'must be an ISO 8601 time such as "2026-11-01T09:00:00+01:00", not {text!r}'
        ) from None
