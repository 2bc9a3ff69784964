"""Catch-up over its grid: what is run, what is passed over and counted, and that nothing is lost or doubled."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightcrew.domain.schedule.catch_up import Due, Passed, foresee, passed, plan
from nightcrew.domain.schedule.compile import compile_schedule
from nightcrew.domain.spec.policy import OverlapPolicy
from nightcrew.domain.spec.trigger import Schedule

START = datetime(2026, 5, 1, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def every(seconds, mode="LATEST", window=None, **more):
    catch_up = {"mode": f"CATCH_UP_MODE_{mode}"}
    if window is not None:
        catch_up["window"] = window
    return compile_schedule(Schedule.parse({"interval": {"every": seconds}, "catch_up": catch_up, **more}))


def minutes(*numbers):
    return tuple(START + number * MINUTE for number in numbers)


def test_nothing_is_due_before_its_time():
    (following,) = minutes(1)
    found = plan(every(60), START, following - SECOND, awake_since=START)
    assert found == Due(cursor=START, next_time=following, wake=following)
    assert found.times == ()


def test_one_that_is_due_now():
    found = plan(every(60), START, START + MINUTE, awake_since=START)
    assert found == Due(
        on_time=minutes(1), cursor=START + MINUTE, next_time=minutes(2)[0], wake=minutes(2)[0]
    )


@pytest.mark.parametrize("mode", ["NONE", "LATEST", "ALL"])
def test_load_is_no_outage(mode):
    found = plan(every(60, mode), START, START + 5 * MINUTE, awake_since=START)
    assert found.on_time == minutes(1, 2, 3, 4, 5)
    assert (found.caught_up, found.missed, found.overlap) == ((), None, None)


@pytest.mark.parametrize(
    ("mode", "window", "caught_up", "missed", "overlap"),
    [
        ("NONE", None, (), (1, 9, 9), None),
        ("LATEST", None, (9,), (1, 8, 8), None),
        ("LATEST", 90, (9,), (1, 8, 8), None),
        ("LATEST", 20, (), (1, 9, 9), None),
        ("LATEST", 0, (), (1, 9, 9), None),
        ("ALL", None, tuple(range(1, 10)), None, OverlapPolicy.BUFFER_ALL),
        ("ALL", 210, (6, 7, 8, 9), (1, 5, 5), OverlapPolicy.BUFFER_ALL),
        ("ALL", 20, (), (1, 9, 9), None),
        ("UNSPECIFIED", None, (9,), (1, 8, 8), None),
    ],
)
def test_after_an_outage(mode, window, caught_up, missed, overlap):
    now = START + 9 * MINUTE + timedelta(seconds=30)
    found = plan(every(60, mode, window), START, now, awake_since=now)
    assert found.caught_up == minutes(*caught_up)
    assert found.missed == (missed and Passed(*minutes(*missed[:2]), missed[2]))
    assert found.on_time == ()
    assert found.overlap is overlap
    assert (found.cursor, found.next_time, found.wake) == (*minutes(9), *minutes(10), *minutes(10))


def test_missed_ones_and_those_on_time_in_one_decision():
    found = plan(every(60), START, START + 6 * MINUTE, awake_since=START + 4 * MINUTE)
    assert found.missed == Passed(*minutes(1, 2), 2)
    assert (found.caught_up, found.on_time) == (minutes(3), minutes(4, 5, 6))
    assert found.times == minutes(3, 4, 5, 6)


def test_an_exhausted_schedule_says_so():
    schedule = compile_schedule(Schedule.parse({"date": {"time": START + MINUTE}}))
    found = plan(schedule, START, START + HOUR, awake_since=START + HOUR)
    assert found == Due(caught_up=minutes(1), cursor=START + MINUTE, next_time=None, wake=None)
    assert plan(schedule, found.cursor, START + HOUR, awake_since=START) == Due(
        cursor=found.cursor, next_time=None, wake=None
    )


def test_ten_years_of_tenths_of_seconds_are_counted_at_once():
    schedule = every("0.1s")
    now = START + timedelta(days=3653)
    found = plan(schedule, START, now, awake_since=now)
    assert found.caught_up == (now - timedelta(milliseconds=100),)
    assert found.missed.count == 3653 * 864_000 - 2
    assert found.on_time == (now,)


def test_ten_years_of_cron_seconds_are_counted_by_days():
    schedule = compile_schedule(
        Schedule.parse({"cron": {"expression": "* * 0-1 * * *"}, "time_zone": "Europe/Berlin"})
    )
    now = START + timedelta(days=3653)
    found = plan(schedule, START, now, awake_since=now)
    assert found.missed.count + 1 == 3653 * 7200
    assert len(found.caught_up) == 1


def test_a_limit_cuts_and_the_next_decision_goes_on():
    schedule = every(60, "ALL")
    now, cursor, seen, rounds = START + 25 * MINUTE, START, [], 0
    while True:
        found = plan(schedule, cursor, now, awake_since=START + 20 * MINUTE, limit=7)
        if not found.times:
            break
        assert len(found.times) <= 7
        assert found.missed is None
        seen += found.times
        cursor, rounds = found.cursor, rounds + 1
        assert (found.wake <= now) == (len(seen) < 25)
    assert seen == list(minutes(*range(1, 26)))
    assert rounds == 4


def test_jitter_decides_what_is_due_and_what_was_missed():
    schedule = every(60, jitter="30s")
    key = {"agent_id": "a", "trigger_id": "interval"}
    (nominal,) = minutes(1)
    due = schedule.due_time(nominal, "a", "interval")
    assert nominal < due
    early = plan(schedule, START, due - timedelta(microseconds=1), awake_since=START, **key)
    assert (early.times, early.wake, early.cursor) == ((), due, START)
    assert plan(schedule, START, due, awake_since=due, **key).on_time == (nominal,)
    late = plan(schedule, START, due + SECOND, awake_since=due + SECOND, **key)
    assert (late.on_time, late.caught_up) == ((), (nominal,))


def test_times_that_pass_while_an_agent_is_not_active_are_counted():
    assert passed(every(60), START, START + 59 * SECOND) is None
    assert passed(every(60), START, START + 10 * MINUTE) == Passed(*minutes(1, 10), 10)
    jittered = every(60, jitter="30s")
    due = jittered.due_time(minutes(3)[0], "a", "t")
    key = {"agent_id": "a", "trigger_id": "t"}
    assert passed(jittered, START, due - timedelta(microseconds=1), **key) == Passed(*minutes(1, 2), 2)
    assert passed(jittered, START, due, **key) == Passed(*minutes(1, 3), 3)


SCHEDULES = st.builds(
    lambda kind, mode, window, jitter: compile_schedule(
        Schedule.parse(
            {
                **kind,
                "time_zone": "America/New_York",
                "catch_up": {
                    "mode": f"CATCH_UP_MODE_{mode}",
                    **({} if window is None else {"window": window}),
                },
                "jitter": jitter,
            }
        )
    ),
    st.sampled_from(
        [
            {"interval": {"every": 60}},
            {"interval": {"every": 3600, "phase": 7}},
            {"cron": {"expression": "*/7 * * * *"}},
            {"cron": {"expression": "30 1,2 * * *"}, "dst_fold": "DST_FOLD_BOTH"},
            {"civil": {"days": 1, "time_of_day": "02:30"}},
            {"date": {"time": "2026-03-08T07:00:00Z"}},
        ]
    ),
    st.sampled_from(["NONE", "LATEST", "ALL"]),
    st.sampled_from([None, 0, 100, 7200, 200_000]),
    st.sampled_from([0, 20, 4000]),
)


@given(
    schedule=SCHEDULES,
    begin=st.sampled_from([datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 31, tzinfo=UTC), START]),
    offline=st.integers(0, 200_000),
    online=st.integers(0, 5_000),
    limit=st.sampled_from([1, 3, 1000, 10_000]),
)
def test_every_time_is_decided_once_and_as_its_mode_says(schedule, begin, offline, online, limit):
    key = {"agent_id": "a", "trigger_id": "t"}
    awake, now = begin + offline * SECOND, begin + (offline + online) * SECOND
    cursor, missed, caught_up, on_time = begin, [], [], []
    while True:
        found = plan(schedule, cursor, now, awake_since=awake, limit=limit, **key)
        if found.missed:
            between = list(schedule.between(cursor, found.missed.last))
            assert (between[0], between[-1], len(between)) == (
                found.missed.first,
                found.missed.last,
                found.missed.count,
            )
            missed += between
        caught_up += found.caught_up
        on_time += found.on_time
        assert found.next_time == schedule.next_after(found.cursor)
        if found.wake is None or found.wake > now:
            break
        assert found.cursor > cursor
        cursor = found.cursor
    due = {at: schedule.due_time(at, "a", "t") for at in schedule.between(begin, now)}
    decided = [at for at, when in due.items() if when <= now]
    assert sorted(missed + caught_up + on_time) == decided
    assert on_time == [at for at in decided if due[at] >= awake]
    late = [at for at in decided if due[at] < awake]
    reach = [at for at in late if due[at] >= now - schedule.window]
    expected = {"NONE": [], "LATEST": [at for at in reach[-1:] if at == late[-1]], "ALL": reach}
    assert caught_up == expected[schedule.catch_up.removeprefix("CATCH_UP_MODE_")]
    assert missed == [at for at in late if at not in caught_up]


@given(
    mode=st.sampled_from(["NONE", "LATEST", "ALL"]),
    cursor=st.integers(0, 300),
    now=st.integers(0, 600),
    awake=st.integers(0, 600),
    jitter=st.sampled_from([0, 20, 90]),
)
def test_what_was_computed_ahead_changes_nothing(mode, cursor, now, awake, jitter):
    schedule = every(60, mode, jitter=jitter)
    at = START + cursor * SECOND
    arguments = {"awake_since": START + awake * SECOND, "agent_id": "a", "trigger_id": "t"}
    expected = plan(schedule, at, START + now * SECOND, **arguments)
    assert plan(schedule, at, START + now * SECOND, **arguments, known=foresee(schedule, at)) == expected
    # Computed for another cursor, or for a schedule that has changed since: not believed.
    for other in (foresee(schedule, at - 7 * SECOND), foresee(every(45, mode), at)):
        assert plan(schedule, at, START + now * SECOND, **arguments, known=other) == expected
