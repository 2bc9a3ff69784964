"""What a schedule's nominal times are and when they are due, found slowly, without a line of the runtime's own.

Readings of a clock come from the minute oracle, one a minute; intervals and dates are counted up.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b

from tests.domain.support.minute_oracle import DAY, FOLDS, GAPS, MINUTE, MinuteClock, Times, cron, some_times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Havana",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Asia/Beirut",
    "America/Santiago",
    "Africa/Casablanca",
    "Antarctica/Troll",
)
WINDOWS = {"NONE": timedelta(0), "LATEST": timedelta(days=365), "ALL": timedelta(days=1)}
"""How far back each mode of catch-up reaches if nobody says otherwise."""
OVERLAPS = ("SKIP", "BUFFER_ONE", "BUFFER_ALL", "CANCEL_OTHER", "TERMINATE_OTHER", "ALLOW")


@dataclass(frozen=True, kw_only=True)
class Written:
    """A schedule as people write it, and the same in the oracle's words.

    Exactly one of `times` (with `zone`, `gap` and `fold`), `every` (with `phase`) and `once` says when.
    """

    json: dict = field(compare=False)
    times: Times | None = None
    zone: str = "UTC"
    gap: str = "SHIFT"
    fold: str = "FIRST"
    every: timedelta = timedelta(0)
    phase: timedelta = timedelta(0)
    once: datetime | None = None
    jitter: timedelta = timedelta(0)
    start: datetime | None = None
    end: datetime | None = None
    max_fires: int = 0
    catch_up: str = "LATEST"
    window: timedelta = timedelta(days=365)

    def due(self, agent_id, trigger_id, year):
        """(due, nominal) of every nominal time in the days of a year's oracle, in order."""
        return [
            (self._due(one, following, agent_id, trigger_id), one)
            for one, following in _with_next(self._nominal(year))
        ]

    def _nominal(self, year):
        if self.once is not None:
            found = [self.once] if year.begin <= self.once < year.end else []
        elif self.times is not None:
            found = year.clock(self.zone).fires(self.times, self.gap, self.fold)
        else:
            found, at = [], EPOCH + (year.begin - EPOCH) // self.every * self.every + self.phase
            while at < year.end:
                found.append(at)
                at += self.every
        return [
            one
            for one in found
            if (self.start is None or one >= self.start) and (self.end is None or one < self.end)
        ]

    def _due(self, nominal, following, agent_id, trigger_id):
        """Jitter: a share of its length (or of the time to the next), from a hash of what is due."""
        if not self.jitter:
            return nominal
        at = (nominal - EPOCH) // MICRO
        room = self.jitter if following is None else min(self.jitter, following - nominal)
        digest = blake2b(f"{agent_id}\0{trigger_id}\0{at}".encode(), digest_size=8).digest()
        return nominal + (int.from_bytes(digest) * (room // MICRO) >> 64) * MICRO


def _with_next(times):
    return zip(times, [*times[1:], None], strict=False)


class Year:
    """The days that the oracle looks at, and what clocks show in them."""

    def __init__(self, begin, days):
        self.begin = begin
        self.end = begin + days * DAY
        self.clock = lru_cache(maxsize=None)(lambda zone: MinuteClock(zone, begin, days * DAY // MINUTE))


def some_schedule(dice, now):
    """A schedule by chance: from some a month to some an hour, most of them a few times a day."""
    kind = dice.choices(["local", "rare", "hourly", "interval", "date"], [5, 3, 2, 3, 1])[0]
    zone, gap, fold = dice.choice(ZONES), dice.choice(GAPS), dice.choice(FOLDS)
    clock = {"zone": zone, "gap": gap, "fold": fold}
    settings = {"time_zone": zone, "dst_gap": f"DST_GAP_{gap}", "dst_fold": f"DST_FOLD_{fold}"}
    match kind:
        case "local":
            times = some_times(dice, [0, 1, 2, 3, 23, *range(24)])
            when, said = {"times": times, **clock}, {**times.written, **settings}
        case "rare":
            times = cron([dice.randrange(60)], [dice.randrange(24)], days=dice.sample(range(1, 32), 3))
            when, said = {"times": times, **clock}, {**times.written, **settings}
        case "hourly":
            times = cron([dice.randrange(60)], [], step=dice.randint(1, 6))
            when, said = {"times": times, **clock}, {**times.written, **settings}
        case "interval":
            every = timedelta(seconds=dice.choice([dice.randint(900, 7200), dice.randint(7200, 300_000)]))
            phase = dice.choice([timedelta(0), every * dice.random()])
            phase -= phase % timedelta(milliseconds=1)
            when = {"every": every, "phase": phase}
            said = {"interval": {"every": _length(every), "phase": _length(phase)}}
        case _:
            once = now + timedelta(seconds=dice.randint(1, 30 * 86_400))
            when, said = {"once": once}, {"date": {"time": once.isoformat()}}
    return _with_settings(dice, now, when, said)


def _with_settings(dice, now, when, said):
    """Jitter, catch-up, a window and a bound, each now and then."""
    when["catch_up"] = mode = dice.choice(list(WINDOWS))
    when["window"] = WINDOWS[mode]
    said["catch_up"] = {"mode": f"CATCH_UP_MODE_{mode}"}
    if dice.random() < 0.3:
        when["window"] = timedelta(seconds=dice.randint(0, 400_000))
        said["catch_up"]["window"] = _length(when["window"])
    if dice.random() < 0.3:
        when["jitter"] = timedelta(seconds=dice.randint(1, 3600))
        said["jitter"] = _length(when["jitter"])
    if dice.random() < 0.1:
        when["start"] = now + timedelta(hours=dice.randint(-100, 400))
        said["start_time"] = when["start"].isoformat()
    if dice.random() < 0.1:
        when["end"] = now + timedelta(hours=dice.randint(500, 2000))
        said["end_time"] = when["end"].isoformat()
    if dice.random() < 0.1:
        said["max_fires"] = when["max_fires"] = dice.randint(1, 60)
    return Written(json=said, **when)


def _length(length):
    return f"{length / timedelta(seconds=1):.6f}s"


def between(due, after, until):
    """Those of (due, nominal) pairs that are due in (after, until]."""
    return due[bisect_right(due, after, key=_when) : bisect_right(due, until, key=_when)]


def _when(pair):
    return pair[0]
