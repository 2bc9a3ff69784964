"""What the ledger must say of one agent after a life: which times have a row, and what the row may say.

A life is a list of stretches of the wall clock: in each one version of the schedule stood, the agent was active or
not, the runtime was up or not. Time is what decides (semantics.md, Schedules):

- a nominal time belongs to the stretch in which it is due, and to the version that stands in it;
- where the wall clock was set back by over a minute it comes to some times again: what lies ahead of it is only
  bound once more when the clock has come there again, by whatever stands then. A row that an execution or a policy
  has made stays and stands for that time; so what was bound before may have a row, and need not.
- a time that lies before such a moment and whose jitter reaches past it keeps what was decided, as cursors become now;
- what lies between a clock's jump and the moment it was noticed (30 s at most) is of either side.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from tests.harness.nominal import Written, between

from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.fire import FireOutcome

ON_TIME = {
    FireOutcome.STARTED,
    FireOutcome.BUFFERED,
    FireOutcome.SKIPPED_OVERLAP,
    FireOutcome.BUFFER_DROPPED,
    FireOutcome.SKIPPED_BY_REQUEST,
}
MISSED = ON_TIME | {FireOutcome.MISSED_CATCH_UP}
IDLE = {FireOutcome.NOT_ACTIVE, FireOutcome.SKIPPED_BY_REQUEST}
BACK_NOTICED = timedelta(seconds=91)
"""A clock that was set back is noticed within 30 s, or at a start if it is more than 60 s behind."""
LEFT_OUT = {FireOutcome.MISSED_CATCH_UP, FireOutcome.SKIPPED_BY_REQUEST}
GIVEN = {FireOutcome.STARTED, FireOutcome.BUFFERED}


@dataclass(frozen=True)
class Stretch:
    """(after, until] of the wall clock.

    `bound` is False where its times may have a row and need not.
    """

    after: datetime
    until: datetime
    version: Written
    active: bool
    up: bool
    bound: bool = True
    outage: bool = False
    """Whether what was missed in it was looked at in one go, at its end (or soon after a jump of the clock)."""
    gone: bool = False
    """Whether the clock was set back to before it: nothing is left of it but what was run, or left out for a reason."""

    def allowed(self, due):
        """(nominal time, what its row may say) for (due, nominal) of all times that are due in it."""
        if self.gone:
            return [(time, ON_TIME) for _, time in due]
        if not self.active:
            return [(time, IDLE) for _, time in due]
        if self.outage and self.bound:
            return self._caught_up(due)
        return [(time, ON_TIME if self.up else MISSED) for _, time in due]

    def _caught_up(self, due):
        """What catch-up makes of them: all, the last, or none, within the window."""
        run = MISSED if self.up else ON_TIME
        oldest = self.until - self.version.window
        kept = [at >= oldest for at, _ in due]
        match self.version.catch_up:
            case "NONE":
                kept = [False] * len(due)
            case "LATEST":
                kept = [*[False] * (len(due) - 1), *kept[-1:]]
        if due and due[-1][0] == self.until:
            kept[-1] = True  # due as it looks: on time
        return [(time, run if keep else LEFT_OUT) for (_, time), keep in zip(due, kept, strict=True)]


class Life:
    """One agent's stretches from its creation on."""

    def __init__(self, agent_id, born):
        self.agent_id = agent_id
        self.born = born
        self.stretches = []
        self.backfills = []
        self.skips = set()
        self.set_back_to = []

    @property
    def set_back(self):
        """Whether the clock was ever set back in it."""
        return bool(self.set_back_to)

    def astride(self, due, nominal):
        """Whether the clock was set back to between a time and the end of its jitter: cursors became now."""
        return any(nominal <= to + BACK_NOTICED and to < due for to in self.set_back_to)

    def add(self, stretch):
        """The next one; it is joined to the last if nothing differs."""
        if stretch.after >= stretch.until:
            return
        last = self.stretches[-1] if self.stretches else None
        if (
            last is not None
            and not stretch.outage
            and last.until == stretch.after
            and last == replace(stretch, after=last.after, until=last.until)
            and last.version is stretch.version
        ):
            self.stretches[-1] = replace(last, until=stretch.until)
        else:
            self.stretches.append(stretch)

    def go_back(self, to):
        """The wall clock was set back: what lies ahead is not bound by what was."""
        self.set_back_to.append(to)
        kept = []
        for one in self.stretches:
            pieces = [(one.after, to, {}), (to, to + BACK_NOTICED, {"bound": False})]
            pieces.append((to + BACK_NOTICED, one.until, {"bound": False, "gone": True}))
            for after, until, what in pieces:
                begin, end = max(after, one.after), min(until, one.until)
                if begin < end:
                    # Of a part of an outage it is not known any more what was the last of it.
                    part = one.outage and (begin, end) != (one.after, one.until)
                    cut = {"outage": False, "up": False} if part else {}
                    kept.append(replace(one, after=begin, until=end, **what, **cut))
        self.stretches = kept


def check(life, rows, executions, year):
    """Holds an agent's ledger and executions against its life; returns how many times were bound.

    Args:
        life: The agent's life.
        rows: Its ledger, in order.
        executions: All its executions, in the order they were made.
        year: The oracle's days.
    """
    for before, after in pairwise(rows):
        assert before.last_nominal_time < after.nominal_time, f"rows overlap: {before} and {after}"
    bound, allowed = _times(life, executions, year)
    starts = [one.nominal_time for one in rows]
    for time in bound:
        at = bisect_right(starts, time) - 1
        found = rows[at] if at >= 0 and rows[at].last_nominal_time >= time else None
        assert found is not None, (
            f"{life.agent_id}: {time} has no outcome beside {rows[max(at, 0) : at + 2]}{_near(life, time)}"
        )
    for row in rows:
        _check_row(life, row, allowed)
    if not life.set_back:
        decided = {row.nominal_time: row.outcome for row in rows if row.count == 1}
        for time in life.skips & set(bound):
            assert decided.get(time) is FireOutcome.SKIPPED_BY_REQUEST, f"{time} was to be left out"
    _check_runs(life, rows, executions)
    return len(bound)


def _times(life, executions, year):
    """The times that must have a row, and for each time that may have one what it may say."""
    bound, allowed = set(), {}
    scheduled = sorted(
        one.trigger.nominal_time for one in executions if one.trigger.kind is TriggerKind.SCHEDULE
    )
    due = {id(one.version): one.version for one in life.stretches}
    due = {key: version.due(life.agent_id, "t", year) for key, version in due.items()}
    for stretch in life.stretches:
        pairs = between(due[id(stretch.version)], stretch.after, stretch.until)
        for (at, _), (time, may) in zip(pairs, stretch.allowed(pairs), strict=True):
            if time <= life.born <= stretch.after:
                continue  # an agent has no times from before it, whatever their jitter
            spent = _spent(life, stretch.version, scheduled, time)
            if spent and not life.set_back:
                continue
            astride = life.astride(at, time)
            allowed[time] = allowed.get(time, set()) | may | (MISSED | IDLE if astride else set())
            if stretch.bound and not spent and not astride:
                bound.add(time)
    return sorted(bound), allowed


def _spent(life, version, scheduled, time):
    """Whether the trigger had been given all its executions by then: it is exhausted, and has no more times."""
    given = len(scheduled) if life.set_back else bisect_left(scheduled, time)
    return bool(version.max_fires) and given >= version.max_fires


def _check_row(life, row, allowed):
    if any(first <= row.nominal_time <= last for first, last in life.backfills):
        return  # what it made of a time is its own, also of one before the agent was there
    if row.nominal_time == row.last_nominal_time and row.count == 1:
        may = allowed.get(row.nominal_time)
        assert may is not None, f"{life.agent_id}: nothing was due for {row}{_near(life, row.nominal_time)}"
        assert row.outcome in may, (
            f"{life.agent_id}: {row} may only be one of {sorted(may)}{_near(life, row.nominal_time)}"
        )
    else:
        assert row.outcome in {FireOutcome.NOT_ACTIVE, FireOutcome.MISSED_CATCH_UP}, row
        if not (life.set_back or life.backfills):  # else rows are cut, and their counts are shares
            covered = [time for time in allowed if row.nominal_time <= time <= row.last_nominal_time]
            assert len(covered) == row.count, (
                f"{life.agent_id}: {row} covers {len(covered)} times{_near(life, row.nominal_time)}"
            )
            assert {row.nominal_time, row.last_nominal_time} <= set(covered), row
            assert all(row.outcome in allowed[time] for time in covered), f"{life.agent_id}: {row}"


def _check_runs(life, rows, executions):
    """A time has one execution at most (and others that ended before they began), and its row names it."""
    of_times = [one for one in executions if one.trigger.nominal_time is not None]
    given = Counter(one.trigger.nominal_time for one in of_times if one.started or not one.state.final)
    twice = [one for one in of_times if given[one.trigger.nominal_time] > 1]
    assert not twice, f"{life.agent_id}: a nominal time has two executions: {twice}"
    known = {one.id: one for one in of_times}
    by_time = {row.nominal_time: row for row in rows}
    for row in rows:
        if row.outcome in GIVEN:
            execution = known.get(row.execution_id)
            assert execution is not None, f"{row} names no execution"
            assert execution.trigger.nominal_time == row.nominal_time, row
            waits = row.outcome is FireOutcome.BUFFERED
            assert not waits or execution.state is ExecutionState.QUEUED, f"{row} is {execution.state}"
    for one in of_times:
        row = by_time.get(one.trigger.nominal_time)
        assert row is not None, f"{one.trigger} has no row"
        assert not one.started or (row.outcome, row.execution_id) == (FireOutcome.STARTED, one.id), row


def _near(life, time):
    """The stretches near a moment, for whoever must find out."""
    day = timedelta(days=1)
    told = [
        f"{'' if one.bound else '('}{one.after:%m-%d %H:%M:%S.%f} to {one.until:%m-%d %H:%M:%S.%f}"
        f" {'active' if one.active else 'idle'} {'up' if one.up else 'down'} {one.version.json}"
        for one in life.stretches
        if one.after - day <= time <= one.until + day
    ]
    return "\n".join(["", f"born {life.born}", *told])
