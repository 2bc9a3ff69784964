"""Backfills: the table over its grid, the range, the generation, and how many are fed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from nightcrew.domain.agent import Agent
from nightcrew.domain.backfill import (
    LEDGER_KEPT,
    OPEN_AT_MOST,
    Backfill,
    BackfillEvent,
    BackfillState,
    as_begun,
    check_range,
    effective,
    free_places,
    step,
    tells,
)
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.domain.spec.policy import OverlapPolicy

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(("state", "event"), list(product(BackfillState, BackfillEvent)))
def test_only_a_running_one_moves(state, event):
    ends = {
        BackfillEvent.FINISH: BackfillState.SUCCEEDED,
        BackfillEvent.CANCEL: BackfillState.CANCELLED,
        BackfillEvent.FAIL: BackfillState.FAILED,
    }
    assert step(state, event) is (ends[event] if state is BackfillState.RUNNING else state)


@pytest.mark.parametrize(
    ("begin", "end", "fields"),
    [
        (NOW - HOUR, NOW, []),
        (NOW - LEDGER_KEPT, NOW - LEDGER_KEPT, []),
        (NOW, NOW - HOUR, ["from_time"]),
        (NOW - LEDGER_KEPT - HOUR, NOW, ["from_time"]),
        (NOW - HOUR, NOW + HOUR, ["to_time"]),
        (NOW + 2 * HOUR, NOW + HOUR, ["from_time", "to_time"]),
        (NOW - LEDGER_KEPT - HOUR, NOW - LEDGER_KEPT - 2 * HOUR, ["from_time", "from_time"]),
    ],
)
def test_the_range(begin, end, fields):
    if not fields:
        check_range(begin, end, now=NOW)
        return
    with pytest.raises(InvalidArgument) as caught:
        check_range(begin, end, now=NOW)
    assert [one.field for one in caught.value.violations] == fields


@pytest.mark.parametrize(
    ("bound", "taken", "waiting", "ours", "free"),
    [
        (1, 0, 0, 0, 1),
        (1, 1, 0, 0, 0),
        (1, 0, 1, 0, 0),
        (3, 1, 1, 1, 1),
        (1, 4, 4, 0, 0),
        (0, 9999, 9, 0, OPEN_AT_MOST),
        (0, 0, 0, OPEN_AT_MOST - 1, 1),
        (0, 0, 0, OPEN_AT_MOST + 5, 0),
    ],
)
def test_free_places(bound, taken, waiting, ours, free):
    assert free_places(bound, taken=taken, waiting=waiting, open_of_backfill=ours) == free


@pytest.mark.parametrize("total", [0, 1, 7, 100, 1234, 1_000_000])
def test_progress_is_told_about_a_hundred_times(total):
    told = sum(tells(n, n + 1, total) for n in range(min(total, 5000)))
    assert told <= max(101, total // max(1, total // 100)) + 1
    if 0 < total <= 5000:
        assert told >= min(total, 100)


def test_its_policy_is_its_own():
    assert effective(OverlapPolicy.UNSPECIFIED) is OverlapPolicy.BUFFER_ALL
    assert effective(OverlapPolicy.SKIP) is OverlapPolicy.SKIP


def test_it_runs_on_the_generation_it_began_with_in_the_places_there_are_now():
    def spec(name, **execution):
        return AgentSpec.parse({"program": {"python": {"entrypoint": name}}, "execution": execution})

    old, new = spec("jobs:old", max_concurrency=4, timeout="5s"), spec("jobs:new", max_concurrency=2)
    begun = Agent(id="a", spec=old, create_time=NOW, update_time=NOW, state_time=NOW)
    now = replace(begun, spec=new, generation=2)
    backfill = Backfill(
        id="b",
        agent_id="a",
        trigger_id="cron",
        from_time=NOW,
        to_time=NOW,
        overlap=OverlapPolicy.BUFFER_ALL,
        cursor=NOW,
        total=0,
        create_time=NOW,
        generation=1,
        spec=old,
    )
    assert as_begun(begun, backfill) is begun
    found = as_begun(now, backfill)
    assert (found.generation, found.spec.program) == (1, old.program)
    assert found.spec.execution.timeout == old.execution.timeout
    assert found.spec.execution.max_concurrency == 2
