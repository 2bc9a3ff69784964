"""`nightcrew schedules` against a real runtime: skips, and backfills that are waited for."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.cli.conftest import Cli
from tests.gateway.support.gateway_box import serving, until

HOURLY = [{"id": "hourly", "schedule": {"cron": {"expression": "0 * * * *"}}}]


@pytest.fixture
async def box(tmp_path):
    async with serving(tmp_path / "data") as box:
        await box.active("a", triggers=HOURLY)
        yield box


@pytest.fixture
def real(box):
    return Cli(box.address)


def hour(offset):
    """A whole hour, so many hours from now."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return (now + timedelta(hours=offset)).isoformat().replace("+00:00", "Z")


async def test_a_backfill_is_waited_for(real):
    args = ("schedules", "backfill", "a", "hourly", "--from", hour(-5), "--to", hour(-3))
    result = await real(*args, "--wait", "--output", "json")
    found = json.loads(result.stdout)
    assert (found["state"], found["started"]) == ("STATE_SUCCEEDED", 3)
    again = json.loads((await real(*args, "--wait", "--output", "json")).stdout)
    assert (again["started"], again["deduplicated"]) == (0, 3)


async def test_a_backfill_that_does_not_succeed_is_no_success(box, real):
    await box.active("b", "hold", triggers=HOURLY)
    args = ("schedules", "backfill", "b", "hourly", "--from", hour(-5), "--to", hour(-3))
    begun = json.loads((await real(*args, "--overlap", "buffer_all", "--output", "json")).stdout)
    assert begun["state"] == "STATE_RUNNING"
    process = await real.start(*args, "--wait", "--output", "json")

    async def second():
        return len((await box.call("ListBackfills")).backfills) == 2

    await until(second)
    await box.call("StopAgent", id="b")
    out, _ = await process.communicate()
    assert process.returncode == 1
    assert json.loads(out)["state"] == "STATE_CANCELLED"


async def test_a_preview_is_what_the_runtime_says(real):
    args = ("schedules", "preview", "0 9 * * mon-fri", "--tz", "Europe/Berlin", "--count", "10")
    found = json.loads((await real(*args, "--after", "2026-03-26T12:00:00Z", "--output", "json")).stdout)
    days = [27, 30, 31, *range(1, 4), *range(6, 10)]
    assert [one["nominal_time"] for one in found] == [
        f"2026-{'03' if day > 20 else '04'}-{day:02}T{8 if day == 27 else 7:02}:00:00Z" for day in days
    ]
    assert len((await real(*args)).stdout.splitlines()) == 11
    moved = ("schedules", "preview", "30 2 * * *", "--tz", "Europe/Berlin", "--after", "2026-03-28T12:00:00Z")
    assert "does not exist as clocks go forward" in (await real(*moved, columns=200)).stdout
    refused = await real("schedules", "preview", "0 9 * * fri-mon", code=1)
    assert "wraps round" in refused.stderr


async def test_the_ledger_is_shown_and_filtered(box, real):
    ticks = [{"id": "fast", "schedule": {"interval": {"every": "0.1s"}}}]
    await box.active("b", "hold", triggers=ticks)

    async def three():
        return len((await box.call("ListFires", filter='agent_id = "b"')).fires) >= 3

    await until(three)
    args = ("schedules", "fires", "--agent", "b", "--trigger", "fast", "--output", "json")
    started = json.loads((await real(*args, "--outcome", "started")).stdout)
    assert [one["outcome"] for one in started] == ["OUTCOME_STARTED"]
    skipped = json.loads((await real(*args, "--outcome", "skipped_overlap", "--limit", "2")).stdout)
    assert [one["outcome"] for one in skipped] == ["OUTCOME_SKIPPED_OVERLAP"] * 2
    before = f'nominal_time < "{started[0]["nominal_time"]}"'
    assert json.loads((await real(*args, "--outcome", "started", "--filter", before)).stdout) == []


async def test_a_time_is_skipped_and_taken_back(real):
    skipped = await real("schedules", "skip", "a", "hourly", hour(2), "--reason", "why", "--output", "json")
    assert json.loads(skipped.stdout)["outcome"] == "OUTCOME_SKIPPED_BY_REQUEST"
    preview = ("schedules", "preview", "--agent", "a", "--trigger", "hourly", "--count", "2")
    assert "skipped by request: why" in (await real(*preview)).stdout
    await real("schedules", "skip", "a", "hourly", hour(2), "--undo")
    assert "skipped" not in (await real(*preview)).stdout
    assert "fire_decided" in (await real("schedules", "skip", "a", "hourly", hour(-1), code=1)).stderr
