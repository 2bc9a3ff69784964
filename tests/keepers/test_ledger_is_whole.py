"""Random lives of random schedules: every nominal time while a schedule stood has one outcome, and one run at most."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.harness.expected import check
from tests.harness.lives import Crowd

from nightcrew.domain.fire import FireOutcome

WHEN_CLOCKS_CHANGE = datetime(2026, 3, 20, tzinfo=UTC)


@pytest.mark.parametrize(("seed", "back"), [(1, False), (2, True)])
async def test_every_nominal_time_has_one_outcome(seed, back, tmp_path):
    """Some days of what `make soak ARGS="-k a_year"` does for a year, against the same oracle."""
    crowd = Crowd(seed, agents=8, days=20, folder=tmp_path, back=back, start=WHEN_CLOCKS_CHANGE)
    figures = await crowd.live()
    assert figures.times > 300
    assert figures.executions > 200


async def test_a_ledger_that_is_not_whole_is_seen(tmp_path):
    crowd = Crowd(3, agents=3, days=6, folder=tmp_path, back=False)
    await crowd.live()
    life = next(
        one for one in crowd.lives.values() if not one.backfills and len(crowd.rows[one.agent_id]) > 5
    )
    rows = [crowd.rows[life.agent_id][time] for time in sorted(crowd.rows[life.agent_id])]
    runs = sorted(crowd.runs[life.agent_id].values(), key=lambda run: run.id)
    assert check(life, rows, runs, crowd.year) >= len(rows)
    row = next(one for one in rows if one.outcome is FireOutcome.STARTED)
    at = rows.index(row)
    run = next(one for one in runs if one.id == row.execution_id)
    later = row.nominal_time + timedelta(seconds=1)
    never = replace(row, nominal_time=later, last_nominal_time=later, outcome=FireOutcome.SKIPPED_OVERLAP)
    for broken, with_runs in [
        ([*rows[:at], *rows[at + 1 :]], runs),
        ([*rows[: at + 1], *rows[at:]], runs),
        ([*rows[: at + 1], never, *rows[at + 1 :]], runs),
        ([*rows[:at], replace(row, outcome=FireOutcome.NOT_ACTIVE), *rows[at + 1 :]], runs),
        ([*rows[:at], replace(row, outcome=FireOutcome.SKIPPED_OVERLAP), *rows[at + 1 :]], runs),
        (rows, [one for one in runs if one is not run]),
        (rows, [*runs, run]),
    ]:
        with pytest.raises(AssertionError):
            check(life, broken, with_runs, crowd.year)
