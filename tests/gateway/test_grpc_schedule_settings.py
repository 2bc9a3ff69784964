"""Every setting of a schedule, as an agent's file, a manifest and a call have it: all say the same, and it holds."""

from datetime import UTC, datetime, timedelta

import pytest
import yaml
from tests.gateway.support.gateway_box import as_json, until

from nightcrew.agent import at, civil, cron, every
from nightcrew.agent.triggers import numbered
from nightcrew.domain.spec.agent import Manifest

START, END = datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2027, 3, 1, 8, tzinfo=UTC)
TIMING = {
    "jitter": 30,
    "catch_up": "all",
    "catch_up_window": timedelta(hours=2),
    "start": START,
    "end": END,
    "max_fires": 7,
    "overlap": "buffer_one",
    "disabled": True,
    "input": {"n": 1},
}
WRITTEN = """
jitter: 30s
catch_up: {mode: CATCH_UP_MODE_ALL, window: 7200s}
start_time: "2026-03-01T08:00:00Z"
end_time: "2027-03-01T08:00:00Z"
max_fires: 7
"""
ZONED = {"tz": "Europe/Berlin", "dst_gap": "skip", "dst_fold": "both"}
WRITTEN_ZONED = WRITTEN + "time_zone: Europe/Berlin\ndst_gap: DST_GAP_SKIP\ndst_fold: DST_FOLD_BOTH\n"
COMMON = {"disabled": True, "overlap": "OVERLAP_POLICY_BUFFER_ONE", "input": {"n": 1}}

CASES = [
    (cron("30 2 * * mon-fri", **TIMING, **ZONED), "cron: {expression: 30 2 * * mon-fri}", WRITTEN_ZONED),
    (civil(14, "06:00:30", **TIMING, **ZONED), 'civil: {days: 14, time_of_day: "06:00:30"}', WRITTEN_ZONED),
    (
        every(days=1, hours=2, minutes=3, seconds=4.5, phase=timedelta(minutes=1), **TIMING),
        "interval: {every: 93784.500s, phase: 60s}",
        WRITTEN,
    ),
    (at(datetime(2026, 5, 1, 9, tzinfo=UTC), **TIMING), 'date: {time: "2026-05-01T09:00:00Z"}', WRITTEN),
]
KINDS = ["cron", "civil", "interval", "date"]


@pytest.mark.parametrize(("trigger", "kind", "settings"), CASES, ids=KINDS)
async def test_a_file_a_manifest_and_a_call_say_the_same(timed, trigger, kind, settings):
    (written,) = numbered([trigger])
    schedule = {**yaml.safe_load(kind), **yaml.safe_load(settings)}
    manifest = {"id": written.id, **COMMON, "schedule": schedule}
    spec = {"program": {"python": {"entrypoint": "gateway_programs:echo"}}, "triggers": [manifest]}
    assert Manifest.parse({"id": "a", "spec": spec}).spec.triggers == (written,)
    made = (await timed.call("CreateAgent", agent={"id": "a", "spec": spec})).agent
    assert (await timed.runtime.services.agents.get("a")).spec.triggers == (written,)
    # What is given out can be given in: protobuf's JSON has numbers as text and lengths of time in its own way.
    shown = as_json(made)["spec"]["triggers"][0]
    again = (await timed.call("CreateAgent", agent={"id": "b", "spec": {**spec, "triggers": [shown]}})).agent
    assert again.spec == made.spec
    assert (await timed.runtime.services.agents.get("b")).spec.triggers == (written,)


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        (
            {"cron": {"expression": "30 2 * * *"}, "time_zone": "Europe/Berlin"},
            "2026-03-28T12:00:00Z",
            [
                (
                    "2026-03-29T01:00:00Z",
                    "2026-03-29 02:30 does not exist as clocks go forward; runs at the first instant after it",
                ),
                ("2026-03-30T00:30:00Z", ""),
            ],
        ),
        (
            {
                "cron": {"expression": "30 2 * * *"},
                "time_zone": "Europe/Berlin",
                "dst_gap": "DST_GAP_SKIP",
            },
            "2026-03-28T12:00:00Z",
            [
                (
                    "2026-03-30T00:30:00Z",
                    "2026-03-29 02:30 does not exist as clocks go forward and was skipped before this one",
                ),
                ("2026-03-31T00:30:00Z", ""),
            ],
        ),
        (
            {
                "civil": {"days": 1, "time_of_day": "02:30"},
                "time_zone": "Europe/Berlin",
                "dst_fold": "DST_FOLD_BOTH",
            },
            "2026-10-24T12:00:00Z",
            [
                (
                    "2026-10-25T00:30:00Z",
                    "2026-10-25 02:30 comes twice as clocks go back; this is the first time",
                ),
                (
                    "2026-10-25T01:30:00Z",
                    "2026-10-25 02:30 comes twice as clocks go back; this is the second time",
                ),
            ],
        ),
    ],
    ids=["shifted", "skipped", "both"],
)
async def test_previews_give_the_reason_where_clocks_change(timed, schedule, after, expected):
    async def shown(**request):
        fires = (await timed.call("PreviewSchedule", after=after, count=2, **request)).fires
        return [(one.nominal_time.ToJsonString(), one.note) for one in fires]

    assert await shown(schedule=schedule) == expected
    await timed.create("a", triggers=[{"id": "t", "schedule": schedule}])
    assert await shown(agent_id="a", trigger_id="t") == expected


async def test_the_ledger_is_filtered_by_agent_trigger_outcome_and_time(timed):
    ticks = [{"id": f"t{n}", "schedule": {"interval": {"every": f"{n}s"}}} for n in (20, 30)]
    for agent_id in ("a", "b"):
        await timed.active(agent_id, "hold", triggers=ticks)

    async def ledger(where, **more):
        fires = (await timed.call("ListFires", filter=where, order_by="nominal_time", **more)).fires
        return sorted((one.agent_id, one.trigger_id, one.nominal_time.seconds % 3600) for one in fires)

    for seconds, count in ((40, 6), (20, 10)):
        await timed.clock.advance(seconds)

        async def decided(count=count):
            return len(await ledger("")) == count

        await until(decided, what="all fires")
    assert await ledger('agent_id = "a" AND trigger_id = "t30"') == [("a", "t30", 30), ("a", "t30", 60)]
    assert await ledger('outcome = "OUTCOME_STARTED"') == [("a", "t20", 20), ("b", "t20", 20)]
    late = 'nominal_time > "2026-01-01T00:00:30Z" AND nominal_time <= "2026-01-01T00:00:40Z"'
    assert await ledger(f'{late} AND outcome = "OUTCOME_SKIPPED_OVERLAP"') == [
        ("a", "t20", 40),
        ("b", "t20", 40),
    ]
    assert await ledger('actual_time >= "2026-01-01T00:01:00Z" AND agent_id = "b"') == [
        ("b", "t20", 60),
        ("b", "t30", 60),
    ]


@pytest.mark.parametrize(
    ("bound", "fired"),
    [
        ({"max_fires": 2}, 2),
        ({"end_time": "2026-01-01T00:03:00Z"}, 2),
        ({"start_time": "2026-01-01T00:02:00Z"}, 9),
    ],
    ids=["max_fires", "end_time", "start_time"],
)
async def test_a_trigger_that_is_exhausted_stays_so_and_its_agent_active(timed, bound, fired):
    # Every time gets an execution, however many are looked at together: max_fires counts those.
    trigger = {"id": "t", "overlap": "OVERLAP_POLICY_BUFFER_ALL"}
    await timed.active("a", triggers=[{**trigger, "schedule": {"interval": {"every": "60s"}, **bound}}])
    for _ in range(20):
        await timed.clock.advance(30)
        await timed.agent("a")

    async def all_of_them():
        return len((await timed.call("ListFires", filter='agent_id = "a"')).fires) == fired

    await until(all_of_them, what="all fires")
    status = (await timed.call("GetAgentStatus", id="a")).status
    assert await timed.state("a") == "STATE_ACTIVE"
    assert [one.trigger_id for one in status.next_fires] == ([] if fired == 2 else ["t"])
    assert status.overdue_count == 0
