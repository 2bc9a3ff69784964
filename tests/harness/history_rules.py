"""What must be true of every history, whatever was killed when: each rule gives a sentence for each breach."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from tests.harness.history import FINAL, EventRow, ExecutionRow, FireRow, History, Ticking

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CRASH_LOOP: Final = 5
WATCHED: Final = ("nightcrew.agent.", "nightcrew.execution.")
AFTER: Final[Mapping[str, frozenset[str]]] = {
    "": frozenset({"STATE_QUEUED"}),
    "STATE_QUEUED": frozenset(
        {"STATE_RUNNING", "STATE_CANCELLED", "STATE_FAILED", "STATE_TIMED_OUT", "STATE_QUEUED, cancelled"}
    ),
    "STATE_QUEUED, cancelled": frozenset(
        {"STATE_RUNNING", "STATE_CANCELLED", "STATE_FAILED", "STATE_TIMED_OUT"}
    ),
    "STATE_RUNNING": FINAL | {"STATE_RETRYING", "STATE_QUEUED", "STATE_WAITING"},
    "STATE_WAITING": frozenset(
        {"STATE_QUEUED", "STATE_QUEUED, cancelled", "STATE_CANCELLED", "STATE_TIMED_OUT"}
    ),
    "STATE_RETRYING": frozenset(
        {"STATE_QUEUED", "STATE_QUEUED, cancelled", "STATE_CANCELLED", "STATE_TIMED_OUT"}
    ),
    **dict.fromkeys(FINAL, frozenset()),
}
CANCELLED: Final = "cancelled: "
RESUMED: Final = "STATE_QUEUED, cancelled"
GOES_ON: Final = (("STATE_RUNNING", "STATE_QUEUED"), ("STATE_WAITING", "STATE_QUEUED"), (RESUMED,))
"""What is started after these goes on with its attempt."""
Rule = Callable[[History], Iterator[str]]


def breaches(history: History, rules: Sequence[Rule] = ()) -> list[str]:
    """Every breach of every rule (and of more of them); empty is good."""
    return [f"{rule.__name__}: {breach}" for rule in (*RULES, *rules) for breach in rule(history)]


def answered_work_is_there(history: History) -> Iterator[str]:
    """Every TriggerAgent that was answered has its execution, of its agent and under its request id."""
    known = {one.id: one for one in history.executions}
    made = {one.request for one in history.executions}
    for asked in history.asked:
        if asked.refused and asked.request_id in made:
            yield f"{asked.request_id} of {asked.agent_id} was refused and made an execution"
        if asked.execution_id:
            found = known.get(asked.execution_id)
            if found is None:
                yield f"{asked.agent_id} was answered {asked.execution_id}, which does not exist"
            elif (found.agent_id, found.request) != (asked.agent_id, asked.request_id):
                yield f"{asked.request_id} of {asked.agent_id} was answered {found.id}, which is {found.request} of {found.agent_id}"


def a_request_makes_one_execution(history: History) -> Iterator[str]:
    """No request id has two executions, and none that nobody asked for."""
    wanted = {one.request_id for one in history.asked}
    # A retry has the labels of what it is a retry of.
    made = Counter(one.request for one in history.executions if one.request and one.kind != "KIND_RETRY")
    for request, count in made.items():
        if count > 1:
            yield f"the request {request} made {count} executions"
        if request not in wanted:
            yield f"nobody asked for the request {request}"
    answers = defaultdict(set)
    for one in history.asked:
        if one.execution_id:
            answers[one.request_id].add(one.execution_id)
    for request, ids in answers.items():
        if len(ids) > 1:
            yield f"the request {request} was answered with {sorted(ids)}"


def every_execution_ends(history: History) -> Iterator[str]:
    """Each is final, for a reason that can be."""
    for one in history.executions:
        if one.state not in FINAL and one.id not in history.open:
            yield f"{_name(one)} is {one.state}"
        if one.error_type == "crash_loop" and one.interruptions < CRASH_LOOP - 1:
            yield f"{_name(one)} is a crash_loop after {one.interruptions} interruptions"
        if one.attempt > history.max_attempts.get(one.agent_id, 1):
            yield f"{_name(one)} made {one.attempt} attempts"


def events_tell_each_step_once(history: History) -> Iterator[str]:
    """An execution's events are a way through the table to its one end, and its counters are what they tell."""
    trails: dict[str, list[str]] = defaultdict(list)
    for event in history.events:
        if event.execution_id and event.type.startswith("nightcrew.execution."):
            # One that has a journal is run once more when it is cancelled, as the same attempt.
            resumed = event.state == "STATE_QUEUED" and event.reason.startswith(CANCELLED)
            trails[event.execution_id].append(RESUMED if resumed else event.state)
    for one in history.executions:
        trail = trails.pop(one.id, [])
        for before, state in zip(["", *trail], trail, strict=False):
            if state not in AFTER.get(before, frozenset()):
                yield f"{_name(one)} went from {before or 'nothing'} to {state}: {_short(trail)}"
        if not trail or trail[-1] != one.state:
            yield f"{_name(one)} is {one.state}, its events tell {_short(trail)}"
        interrupted = _count(trail, "STATE_RUNNING", "STATE_QUEUED")
        if interrupted != one.interruptions:
            yield f"{_name(one)} counts {one.interruptions} interruptions, its events tell {interrupted}"
        attempts = trail.count("STATE_RUNNING") - sum(_count(trail, *way, "STATE_RUNNING") for way in GOES_ON)
        if attempts != one.attempt and one.state != "STATE_QUEUED":
            yield f"{_name(one)} counts {one.attempt} attempts, its events tell {attempts}"
    for unknown in trails:
        yield f"events tell of {unknown}, which does not exist"


def the_log_has_no_holes(history: History) -> Iterator[str]:
    """Sequences follow each other."""
    for before, event in zip(history.events, history.events[1:], strict=False):
        if event.sequence != before.sequence + 1:
            yield f"{event.sequence} follows {before.sequence}"


def results_are_of_real_runs(history: History) -> Iterator[str]:
    """A success has the result of a run that was; a run writes once, so effects are never more than runs."""
    marks: dict[str, list[str]] = defaultdict(list)
    for effect in history.effects:
        marks[effect.execution_id].append(effect.mark)
    runs = Counter(one.execution_id for one in history.events if one.state == "STATE_RUNNING")
    for one in history.executions:
        written = marks.pop(one.id, [])
        if one.agent_id not in history.effectful:
            continue
        result = one.result.get("mark") if isinstance(one.result, Mapping) else None
        if one.state == "STATE_SUCCEEDED" and result not in written:
            yield f"{_name(one)} has the result {one.result!r}, its runs wrote {written}"
        if one.state != "STATE_SUCCEEDED" and one.result is not None:
            yield f"{_name(one)} is {one.state} and has the result {one.result!r}"
        if len(written) > runs[one.id]:
            yield f"{_name(one)} was started {runs[one.id]} times and wrote {len(written)} times"
        if len(set(written)) < len(written):
            yield f"{_name(one)} wrote the same twice: {written}"
    for unknown in marks:
        yield f"a program ran for {unknown}, which does not exist"


def a_fire_has_one_execution(history: History) -> Iterator[str]:
    """Ledger and executions agree, and no nominal time has two."""
    scheduled = {one.id: one for one in history.executions if one.kind == "KIND_SCHEDULE"}
    nominal = Counter((one.agent_id, one.trigger_id, one.nominal_time) for one in scheduled.values())
    for (agent_id, trigger_id, time), count in nominal.items():
        if count > 1:
            yield f"{agent_id}/{trigger_id} has {count} executions for {time}"
    named: set[str] = set()
    for fire in history.fires:
        if fire.outcome == "OUTCOME_BUFFERED" and all(one.state in FINAL for one in history.executions):
            yield f"{_fire(fire)} is BUFFERED although everything has ended"
        if not fire.execution_id:
            if fire.outcome == "OUTCOME_STARTED":
                yield f"{_fire(fire)} is STARTED without an execution"
            continue
        one = scheduled.get(fire.execution_id)
        if one is None:
            yield f"{_fire(fire)} names {fire.execution_id}, which does not exist"
        elif (one.agent_id, one.trigger_id, one.nominal_time) != (fire.agent_id, fire.trigger_id, fire.first):
            yield f"{_fire(fire)} names {_name(one)}, which is for {one.nominal_time}"
        named.add(fire.execution_id)
    for one in scheduled.values():
        if one.id not in named:
            yield f"{_name(one)} for {one.nominal_time} is not in the ledger"


def no_fire_is_lost_or_doubled(history: History) -> Iterator[str]:
    """Every nominal time of the window has one outcome."""
    rows: dict[tuple[str, str], list[FireRow]] = defaultdict(list)
    for fire in history.fires:
        rows[fire.agent_id, fire.trigger_id].append(fire)
    for ticking in history.ticking:
        yield from _ledger(ticking, rows[ticking.agent_id, ticking.trigger_id])


def _ledger(ticking: Ticking, rows: Sequence[FireRow]) -> Iterator[str]:
    covered: Counter[int] = Counter()
    for fire in rows:
        times = range(_index(fire.first, ticking.every), _index(fire.last, ticking.every) + 1)
        covered.update(times)
        if fire.count != len(times):
            yield f"{_fire(fire)} counts {fire.count}, it covers {len(times)}"
        if _at(times[0], ticking.every) != fire.first or _at(times[-1], ticking.every) != fire.last:
            yield f"{_fire(fire)} is no time of its schedule"
    first = -(-int((ticking.start - EPOCH) / timedelta(microseconds=1)) // (ticking.every * 1_000_000))
    wanted = range(first, _index(ticking.end, ticking.every) + 1)
    if len(wanted) == 0:
        yield f"{ticking.agent_id}/{ticking.trigger_id}: no time lies in its window"
    for index in wanted:
        if covered[index] != 1:
            how = "is lost" if not covered[index] else f"has {covered[index]} outcomes"
            yield f"{ticking.agent_id}/{ticking.trigger_id}: {_at(index, ticking.every)} {how}"


def watchers_see_everything_once(history: History) -> Iterator[str]:
    """Each saw every event that it selects, in order, once."""
    for watched in history.watched:
        expected = [
            one.sequence
            for one in history.events
            if watched.after < one.sequence <= watched.up_to and _selects(watched.agents, one)
        ]
        if watched.gaps:
            yield f"{watched.name} was told of {watched.gaps} gaps"
        counts, wanted = Counter(watched.sequences), set(expected)
        if lost := [one for one in expected if not counts[one]]:
            yield f"{watched.name} missed {len(lost)} of {len(expected)}, the first {lost[:5]}"
        if doubled := [one for one, count in counts.items() if count > 1]:
            yield f"{watched.name} saw {len(doubled)} twice, the first {doubled[:5]}"
        if strange := [one for one in counts if one not in wanted and one <= watched.up_to]:
            yield f"{watched.name} saw {len(strange)} that are not for it, the first {strange[:5]}"
        if list(watched.sequences) != sorted(watched.sequences):
            yield f"{watched.name} saw events out of order"
        if not expected:
            yield f"{watched.name} had nothing to see: that shows nothing"


def _selects(agents: frozenset[str], event: EventRow) -> bool:
    return event.type.startswith(WATCHED) and (not agents or event.agent_id in agents)


def _count(trail: Sequence[str], *pattern: str) -> int:
    return sum(tuple(trail[at : at + len(pattern)]) == pattern for at in range(len(trail)))


def _index(time: datetime, every: int) -> int:
    return int((time - EPOCH) / timedelta(microseconds=1)) // (every * 1_000_000)


def _at(index: int, every: int) -> datetime:
    return EPOCH + timedelta(seconds=index * every)


def _name(one: ExecutionRow) -> str:
    return f"{one.agent_id} {one.id}"


def _short(trail: Sequence[str]) -> str:
    return " → ".join(state.removeprefix("STATE_") for state in trail) or "nothing"


def _fire(fire: FireRow) -> str:
    return f"the fire {fire.agent_id}/{fire.trigger_id} {fire.first} ({fire.outcome})"


RULES: Final[Sequence[Rule]] = (
    answered_work_is_there,
    a_request_makes_one_execution,
    every_execution_ends,
    events_tell_each_step_once,
    the_log_has_no_holes,
    results_are_of_real_runs,
    a_fire_has_one_execution,
    no_fire_is_lost_or_doubled,
    watchers_see_everything_once,
)
