"""A slow oracle for schedules on a local clock: it asks the clock every minute, and knows nothing of our arithmetic.

It shares no line with `domain/schedule`: days come from `datetime`, readings from `zoneinfo`, one a minute.
"""

from array import array
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.trigger import Schedule

ZONES = """
America/Havana Asia/Beirut Australia/Lord_Howe Pacific/Chatham America/Asuncion Pacific/Apia America/New_York
America/Los_Angeles America/St_Johns America/Sao_Paulo America/Santiago America/Caracas America/Nuuk
America/Mexico_City America/Bogota America/Adak America/Halifax America/Tijuana Africa/Cairo
Africa/Casablanca Africa/El_Aaiun Africa/Juba Africa/Windhoek Africa/Nairobi Antarctica/Troll
Antarctica/Casey Asia/Amman Asia/Damascus Asia/Gaza Asia/Hebron Asia/Jerusalem Asia/Tehran Asia/Pyongyang
Asia/Kathmandu Asia/Kolkata Asia/Tokyo Asia/Ulaanbaatar Asia/Almaty Atlantic/Azores Atlantic/Bermuda
Australia/Adelaide Australia/Sydney Europe/Berlin Europe/Dublin Europe/Istanbul Europe/Lisbon Europe/London
Europe/Moscow Europe/Volgograd Pacific/Auckland Pacific/Easter Pacific/Fiji Pacific/Kiritimati Pacific/Norfolk
Pacific/Tongatapu UTC
""".split()  # noqa: SIM905 - fifty names are easier to read so
GAPS = ("SHIFT", "SKIP")
FOLDS = ("FIRST", "SECOND", "BOTH")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_MINUTES = 1440


@dataclass(frozen=True)
class Times:
    """Which readings of a clock are meant; `civil_days` of 0 is a cron, else every so many local days.

    `every_hour` is a cron whose hour field begins with `*`; `both` one that ANDs its day fields.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    every_hour: bool = False
    days: frozenset[int] = frozenset(range(1, 32))
    weekdays: frozenset[int] = frozenset(range(7))
    both: bool = True
    civil_days: int = 0
    written: dict = field(default_factory=dict, compare=False)

    def on(self, day):
        """Whether the day with that number since 1970-01-01 is one."""
        if self.civil_days:
            return day % self.civil_days == 0
        that = date(1970, 1, 1) + day * DAY
        by_day, by_weekday = that.day in self.days, that.isoweekday() % 7 in self.weekdays
        return by_day and by_weekday if self.both else by_day or by_weekday


def cron(minutes, hours, *, step=0, days=None, weekdays=None):
    """A cron of these minutes and hours (or of `*/step` hours), its day fields left open or restricted."""
    hour = f"*/{step}" if step > 1 else "*" if step else ",".join(map(str, sorted(hours)))
    columns = [
        ",".join(map(str, sorted(minutes))),
        hour,
        "*" if days is None else ",".join(map(str, sorted(days))),
        "*",
        "*" if weekdays is None else ",".join(WEEKDAYS[one] for one in sorted(weekdays)),
    ]
    return Times(
        minutes=frozenset(minutes),
        hours=frozenset(range(0, 24, step) if step else hours),
        every_hour=bool(step),
        days=frozenset(days or range(1, 32)),
        weekdays=frozenset(weekdays or range(7)) if weekdays else frozenset(range(7)),
        both=days is None or weekdays is None,
        written={"cron": {"expression": " ".join(columns)}},
    )


def civil(days, hour, minute):
    """Every so many local days at a time of day."""
    written = {"civil": {"days": days, "time_of_day": f"{hour:02}:{minute:02}"}}
    return Times(frozenset({minute}), frozenset({hour}), civil_days=days, written=written)


def some_times(dice, hours):
    """Times of a schedule by chance, among these hours more often than others."""
    minutes = dice.sample(range(60), dice.choice([1, 1, 2, 4]))
    among = dice.sample(hours, min(len(hours), dice.randint(1, 3)))
    match dice.randrange(5):
        case 0:
            return cron(minutes, [], step=dice.choice([1, 2, 3, 5]))
        case 1:
            return civil(dice.choice([1, 2, 3]), among[0], minutes[0])
        case 2:
            return cron(
                minutes, dice.sample(range(24), 4), days=dice.sample(range(1, 32), 9), weekdays=[1, 6]
            )
        case 3:
            return cron(range(0, 60, dice.choice([1, 5, 20])), among, weekdays=dice.sample(range(7), 5))
        case _:
            return cron(minutes, among)


class MinuteClock:
    """What a zone's clock shows at each minute from one on, and where it leaps or comes again."""

    def __init__(self, zone, start, minutes):
        clock = ZoneInfo(zone)
        begin = int(start.timestamp())
        shown = (datetime.fromtimestamp(second, clock) for second in range(begin, begin + 60 * minutes, 60))
        # The reading as minutes since 1970-01-01 00:00 on that clock.
        self.readings = array(
            "i", ((one.toordinal() - _EPOCH) * _DAY_MINUTES + one.hour * 60 + one.minute for one in shown)
        )
        self.start = start
        self.leaps = []
        self.first, self.second = set(), set()
        for at, before, reading in zip(range(1, minutes), self.readings, self.readings[1:], strict=False):
            if reading > before + 1:
                self.leaps.append((at, range(before + 1, reading)))
            elif reading <= before:
                again = before + 1 - reading
                self.second.update(range(at, at + again))
                self.first.update(range(at - again, at))

    def fires(self, times, gap, fold):
        """The instants at which a schedule fires, in order."""
        on = lru_cache(maxsize=None)(times.on)
        of_day = bytearray(h in times.hours and m in times.minutes for h in range(24) for m in range(60))
        found = [
            at
            for at, reading in enumerate(self.readings)
            if of_day[reading % _DAY_MINUTES] and on(reading // _DAY_MINUTES)
        ]
        if not times.every_hour:
            left_out = {"FIRST": self.second, "SECOND": self.first, "BOTH": ()}[fold]
            found = [at for at in found if at not in left_out]
            if gap == "SHIFT":
                shifted = {
                    at
                    for at, missing in self.leaps
                    if any(of_day[one % _DAY_MINUTES] and on(one // _DAY_MINUTES) for one in missing)
                }
                found = sorted(shifted.union(found))
        return [self.start + at * MINUTE for at in found]


def changes(zone, first_year, last_year):
    """The UTC midnights before each change of a zone's offset in these years, found by asking every day."""
    clock = ZoneInfo(zone)
    day, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    found = []
    while day < end:
        if (day + DAY).astimezone(clock).utcoffset() != day.astimezone(clock).utcoffset():
            found.append(day)
        day += DAY
    return found


def compiled(times, zone, gap, fold):
    """The plan of such a schedule, by the code that is tested."""
    settings = {"time_zone": zone, "dst_gap": f"DST_GAP_{gap}", "dst_fold": f"DST_FOLD_{fold}"}
    return compile_schedule(Schedule.parse({**times.written, **settings}))
