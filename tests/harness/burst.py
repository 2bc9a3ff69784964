"""Many agents that are due at one moment: registered over the API, checked in the ledger."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.harness.chaos import nothing_is_open
from tests.harness.history import History, Ticking
from tests.harness.history_file import read_history
from tests.harness.history_rules import breaches
from tests.harness.process import RuntimeProcess
from tests.harness.waiting import holds

from nightcrew.client import Client

BATCH = 1000


async def burst(crew: RuntimeProcess, *, idle: int, due: int, ahead: float) -> list[str]:
    """Registers agents, has some of them fire at one moment, checks that all did, and gives figures.

    Args:
        crew: A runtime of `agents/burst.py`; it is stopped at the end.
        idle: How many agents are ACTIVE and far from being due.
        due: How many fire.
        ahead: Seconds from their registration to the moment.
    """
    lines = []
    async with Client(crew.address, timeout=120) as client:
        if idle:
            begin = time.monotonic()
            await _register(client, "idle", idle, {"cron": {"expression": "0 0 1 1 *"}})
            lines.append(f"{idle} idle agents registered and started in {time.monotonic() - begin:.1f} s")
        moment = (datetime.now(UTC) + timedelta(seconds=ahead)).replace(microsecond=0)
        await _register(client, "due", due, {"date": {"time": moment.isoformat()}})
        assert datetime.now(UTC) < moment, "they were registered in time"
        end = moment + timedelta(seconds=2)
        await holds(lambda: datetime.now(UTC) > end, within=ahead + 10, what="the moment")
        begun = (await client.agents.get("tick")).create_time
        paused = (await client.agents.pause("tick")).state_time
        await nothing_is_open(client)
    assert begun is not None
    assert paused is not None
    assert crew.stop() == 0
    history = read_history(crew.data)
    ticking = Ticking(
        agent_id="tick",
        trigger_id="interval",
        every=1,
        start=begun,
        end=min(end, paused - timedelta(seconds=0.5)),
    )
    assert (
        breaches(
            History(
                executions=history.executions, events=history.events, fires=history.fires, ticking=[ticking]
            )
        )
        == []
    )
    fires = [one for one in history.fires if one.agent_id.startswith("due-")]
    assert {(one.first, one.outcome) for one in fires} == {(moment, "OUTCOME_STARTED")}
    assert len(fires) == due
    states = {one.id: one for one in history.executions}
    assert {states[one.execution_id].state for one in fires} == {"STATE_SUCCEEDED"}
    late = sorted(_after(moment, one.actual) for one in fires)
    ends = [
        _after(moment, one.time)
        for one in history.events
        if one.type == "nightcrew.execution.succeeded" and one.agent_id.startswith("due-")
    ]
    lines += [
        f"{due} fires of one moment: the median {late[due // 2]:.0f} ms late, the last {late[-1]:.0f} ms",
        f"their executions had all ended {max(ends):.0f} ms after it",
    ]
    return lines


def _after(moment: datetime, time: datetime | None) -> float:
    """Milliseconds from the moment to a time."""
    assert time is not None
    return (time - moment).total_seconds() * 1e3


async def _register(client: Client, kind: str, count: int, schedule: dict[str, Any]) -> None:
    for start in range(0, count, BATCH):
        await client.agents.apply(
            {
                "id": f"{kind}-{n}",
                "labels": {"kind": kind},
                "spec": {
                    "program": {"python": {"entrypoint": "burst:beat"}},
                    "triggers": [{"id": "only", "schedule": schedule}],
                },
            }
            for n in range(start, min(start + BATCH, count))
        )
    results = await client.agents.start_all({"kind": kind})
    assert len(results) == count
    assert all(one.error is None for one in results)
