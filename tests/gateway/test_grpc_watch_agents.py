"""WatchAgents over gRPC: snapshots, then every event once, through reconnects, gaps and silence."""

import asyncio
import contextlib

import pytest
from tests.gateway.support.gateway_box import as_json, refused, request_id, serving, until

from nightcrew.v1 import agent_service_pb2


class Watcher:
    """One watch as a client keeps it: its items in order, the last token, and how it ended."""

    def __init__(self, box, **fields):
        self.items = []
        self.tokens = []
        self.sizes = []
        self.call = box.agents.WatchAgents(agent_service_pb2.WatchAgentsRequest(**fields))
        self._task = asyncio.create_task(self._read())

    async def _read(self):
        async for answer in self.call:
            assert answer.items, "an answer without an item"
            self.items += [as_json(item) for item in answer.items]
            self.sizes.append(len(answer.items))
            self.tokens.append(answer.resume_token)

    @property
    def events(self):
        return [item["event"] for item in self.items if "event" in item]

    @property
    def types(self):
        return [event["type"].removeprefix("nightcrew.") for event in self.events]

    async def has(self, condition, what):
        async def true():
            if self._task.done():
                self._task.result()
            return condition()

        await until(true, what=what)

    async def sees(self, kind, *, subject=None):
        await self.has(
            lambda: any(
                event["type"] == f"nightcrew.{kind}" and subject in {None, event["subject"]}
                for event in self.events
            ),
            f"the event {kind}",
        )

    async def close(self):
        self.call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


@contextlib.asynccontextmanager
async def watching(box, **fields):
    watcher = Watcher(box, **fields)
    try:
        yield watcher
    finally:
        await watcher.close()


async def begun(box, watcher, name="marker"):
    """Waits until the watcher sees what happens now."""
    await box.create(name)
    await watcher.sees("agent.created", subject=name)


async def test_a_snapshot_comes_first_then_the_events(box):
    await box.create("a", labels={"team": "ops"})
    await box.create("b")
    async with watching(box, include_snapshot=True, ids=["a", "b"]) as watcher:
        await watcher.has(
            lambda: any(item.get("snapshot", {}).get("last") for item in watcher.items), "the last"
        )
        shown = {item["snapshot"]["agent"]["id"]: item["snapshot"] for item in watcher.items}
        assert set(shown) == {"a", "b"}
        assert [one.get("last", False) for one in shown.values()] == [False, True]
        assert shown["a"]["agent"]["state"] == "STATE_STOPPED"
        assert shown["a"]["agent"]["spec"]["program"]["python"]["entrypoint"] == "gateway_programs:echo"
        assert "status" in shown["a"]["agent"]
        await box.call("StartAgent", id="a", reason="morning")
        execution = await box.trigger("a", wait="20s")
        await watcher.sees("execution.succeeded")
        assert watcher.types[0] == "agent.started"
        assert watcher.types[1:] == ["execution.queued", "execution.started", "execution.succeeded"]
        started, *_, succeeded = watcher.events
        assert started["source"] == "/agents/a"
        assert started["data"]["reason"] == "morning"
        assert succeeded["execution_id"] == execution.id
        assert succeeded["data"] == {"state": "STATE_SUCCEEDED", "attempt": 1, "result": {}}


async def test_an_empty_snapshot_ends_too(box):
    async with watching(box, include_snapshot=True, ids=["nobody"]) as watcher:
        await watcher.has(lambda: watcher.items, "an item")
        assert watcher.items == [{"snapshot": {"last": True}}]
        await box.create("nobody")
        await watcher.sees("agent.created", subject="nobody")


async def test_a_large_snapshot_comes_in_portions_and_only_its_end_has_a_token(box):
    agents = [
        {"id": f"a-{n}", "spec": {"program": {"python": {"entrypoint": "gateway_programs:echo"}}}}
        for n in range(250)
    ]
    await box.call("ApplyAgents", agents=agents)
    async with watching(box, include_snapshot=True) as watcher:
        await watcher.has(
            lambda: any(item.get("snapshot", {}).get("last") for item in watcher.items), "the last"
        )
        ids = [item["snapshot"]["agent"]["id"] for item in watcher.items]
        assert len(ids) == len(set(ids)) > 250
        assert len(watcher.sizes) >= 3
        assert [bool(token) for token in watcher.tokens] == [False] * (len(watcher.sizes) - 1) + [True]
        assert [item["snapshot"].get("last", False) for item in watcher.items] == [False] * (len(ids) - 1) + [
            True
        ]


async def test_ids_and_selectors_choose_and_both_must_hold(box):
    await box.create("a", labels={"team": "ops"})
    await box.create("b", labels={"team": "ops"})
    await box.create("c", labels={"team": "dev"})
    async with (
        watching(box, selector={"team": "ops"}) as ops,
        watching(box, ids=["a", "c"]) as named,
        watching(box, ids=["a", "c"], selector={"team": "ops"}) as both,
        watching(box) as everyone,
    ):
        for watcher in (ops, named, both, everyone):
            # each must have begun: touch an agent that all of them see until they do
            async def touched(watcher=watcher):
                await box.call("UpdateAgent", agent={"id": "a", "description": request_id()})
                return watcher.items

            await until(touched, what="the watch has begun")
        for agent_id in ("a", "b", "c"):
            await box.call("StartAgent", id=agent_id)
        await box.call("DeleteAgent", id="b", force=True)
        await box.create("end", labels={"team": "ops"})
        await box.call("StopAgent", id="a")
        for watcher in (ops, named, both, everyone):
            await watcher.sees("agent.stopped", subject="a")

        def seen(watcher):
            return {(event["subject"], event["type"][16:]) for event in watcher.events} - {("a", "updated")}

        a = {("a", "started"), ("a", "stopping"), ("a", "stopped")}
        b = {("b", "started"), ("b", "stopping"), ("b", "stopped"), ("b", "deleted")}
        assert seen(ops) == a | b | {("end", "created")}
        assert seen(named) == a | {("c", "started")}
        assert seen(both) == a
        assert seen(everyone) >= a | b | {("c", "started"), ("end", "created")}


async def test_an_agent_that_leaves_a_selection_is_told_of_once_more(box):
    await box.create("a", labels={"team": "ops"})
    async with watching(box, selector={"team": "ops"}) as watcher:
        await begun_with_label(box, watcher)
        await box.call("UpdateAgent", agent={"id": "a", "labels": {"team": "dev"}}, update_mask="labels")
        await box.call("StartAgent", id="a")
        await box.call("UpdateAgent", agent={"id": "a", "labels": {"team": "ops"}}, update_mask="labels")
        await box.call("StopAgent", id="a")
        await watcher.sees("agent.stopped", subject="a")
        of_a = [event["type"][16:] for event in watcher.events if event["subject"] == "a"]
        assert of_a == ["updated", "updated", "stopping", "stopped"]


async def begun_with_label(box, watcher):
    await box.create("marker", labels={"team": "ops"})

    async def marked():
        await box.call("UpdateAgent", agent={"id": "marker", "description": request_id()})
        return any(event["subject"] == "marker" for event in watcher.events)

    await until(marked, what="the watch has begun")


async def test_after_a_reconnect_nothing_is_missed_and_nothing_comes_twice(box):
    """A client that is cut off at any point goes on with its last token."""
    async with watching(box) as watcher:
        await begun_by_touch(box, watcher)
    seen = watcher.events
    token = watcher.tokens[-1]
    await box.active("a", execution={"max_concurrency": 0})
    done = asyncio.create_task(many_triggers(box, 60))
    rounds = 0
    while not done.done() or not (seen and seen[-1]["subject"] == "end"):
        async with watching(box, resume_token=token) as watcher:
            if done.done() and not any(one["subject"] == "end" for one in seen):
                await until_end(box, watcher)
            else:
                await watcher.has(lambda w=watcher: w.items, "an item")
        assert not any("snapshot" in item or "gap" in item for item in watcher.items)
        seen += watcher.events
        token = watcher.tokens[-1]
        rounds += 1
    assert rounds > 3
    wanted = [
        str(event.sequence)
        for event in await box.events_after()
        if event.type.startswith(("nightcrew.agent.", "nightcrew.execution."))
    ]
    sequences = [event["sequence"] for event in seen]
    assert sequences == wanted[wanted.index(sequences[0]) :][: len(sequences)]
    assert seen[-1]["subject"] == "end"


async def many_triggers(box, count):
    for _ in range(count):
        await box.trigger("a", wait="20s")
    await box.create("end")


async def until_end(box, watcher):
    await watcher.sees("agent.created", subject="end")


async def begun_by_touch(box, watcher):
    await box.create("touched")

    async def seen():
        await box.call("UpdateAgent", agent={"id": "touched", "description": request_id()})
        return watcher.events

    await until(seen, what="the watch has begun")


async def test_a_token_survives_a_restart_of_the_runtime(tmp_path):
    async with serving(tmp_path / "data") as box, watching(box) as watcher:
        await begun_by_touch(box, watcher)
        await watcher.close()
        token, last = watcher.tokens[-1], int(watcher.events[-1]["sequence"])
        await box.create("while-away")
    async with serving(tmp_path / "data") as box:
        await box.create("later")
        async with watching(box, resume_token=token, include_snapshot=True) as watcher:
            await watcher.sees("agent.created", subject="later")
            assert not any("gap" in item or "snapshot" in item for item in watcher.items)
            sequences = [int(event["sequence"]) for event in watcher.events]
            assert sequences[0] > last
            wanted = [
                e.sequence for e in await box.events_after(last) if e.type.startswith("nightcrew.agent.")
            ]
            assert sequences == wanted


@pytest.mark.parametrize("include_snapshot", [False, True])
async def test_a_token_of_another_history_gives_a_gap_then_what_is_there(tmp_path, include_snapshot):
    async with serving(tmp_path / "one") as box, watching(box) as watcher:
        await begun_by_touch(box, watcher)
        token = watcher.tokens[-1]
    async with serving(tmp_path / "two") as box:
        await box.create("other")
        async with watching(box, resume_token=token, include_snapshot=include_snapshot) as watcher:
            await watcher.sees("agent.created", subject="other")
            assert "gap" in watcher.items[0]
            assert any("snapshot" in item for item in watcher.items) == include_snapshot
            wanted = [e.sequence for e in await box.events_after() if e.type.startswith("nightcrew.agent.")]
            assert [int(event["sequence"]) for event in watcher.events] == wanted


async def test_events_that_were_pruned_are_a_gap(box):
    async with watching(box) as watcher:
        await begun_by_touch(box, watcher)
    token, last = watcher.tokens[-1], int(watcher.events[-1]["sequence"])
    for number in range(4):
        await box.create(f"a-{number}")
    events = await box.events_after(last)
    kept = events[-2].sequence
    await prune(box, kept)
    async with watching(box, resume_token=token) as watcher:
        await watcher.sees("agent.created", subject="a-3")
        assert watcher.items[0] == {"gap": {"from_sequence": str(last + 1), "to_sequence": str(kept - 1)}}
        assert [int(event["sequence"]) for event in watcher.events] == [kept, kept + 1]


async def prune(box, before):
    """What retention will do one day: the oldest events go."""
    import sqlite3

    path = box.runtime.settings.data / "nightcrew.db"
    connection = sqlite3.connect(path, timeout=10)
    with connection:
        connection.execute("DELETE FROM events WHERE sequence < ?", (before,))
    connection.close()


@pytest.mark.parametrize("token", ["garbage", "!!", "WzEsMl0", "eyJhIjoxfQ"])
async def test_a_token_that_is_none_is_refused(box, token):
    async with refused("INVALID_ARGUMENT") as said:
        await Watcher(box, resume_token=token)._task
    assert said[0].fields == ["resume_token"]


async def test_a_heartbeat_every_fifteen_seconds_of_silence(timed):
    async with watching(timed, include_snapshot=True, ids=["nobody"]) as watcher:
        await watcher.has(lambda: watcher.items, "the snapshot")
        for beats in range(1, 4):
            await timed.clock.advance(14)
            await timed.call(
                "GetRuntime"
            )  # a round trip on the same connection: a message would be here by now
            assert len(watcher.items) == beats
            await timed.clock.advance(1.5)
            await watcher.has(lambda beats=beats: len(watcher.items) == beats + 1, f"heartbeat {beats}")
            assert "time" in watcher.items[-1]["heartbeat"]
        # Others' events make no message here, so the heartbeat still comes, and its token moves on.
        for number in range(3):
            await timed.create(f"a-{number}")
            await timed.clock.advance(5.5)
        await watcher.has(lambda: len(watcher.items) == 5, "a heartbeat amid the events of others")
        assert "heartbeat" in watcher.items[-1]
        assert watcher.tokens[-1] != watcher.tokens[-2]


async def test_many_events_travel_in_one_message(box):
    await box.active("a", execution={"max_concurrency": 0})
    async with watching(box) as watcher:
        await begun_by_touch(box, watcher)
        await watcher.close()
        await box.call("BatchTriggerAgents", requests=[{"id": "a"}] * 300)
        async with watching(box, resume_token=watcher.tokens[-1]) as later:
            await later.has(lambda: len(later.events) >= 900, "all events")
            assert max(later.sizes) > 100


async def test_a_watcher_that_reads_nothing_holds_no_one_up(box):
    """Its stream fills the transport's window; the runtime, its memory and other watchers do not notice."""
    await box.active("a", "big", execution={"max_concurrency": 0})
    stuck = box.agents.WatchAgents(agent_service_pb2.WatchAgentsRequest(include_snapshot=True))
    await stuck.read()
    async with watching(box) as watcher:
        await begun_by_touch(box, watcher)
        for _ in range(40):
            await box.trigger("a", input={"size": 60_000}, wait="20s")
        await box.create("end")
        await watcher.sees("agent.created", subject="end")
    # when it reads at last, it gets all of it
    found = []
    while not any(event["subject"] == "end" for event in found):
        answer = await asyncio.wait_for(stuck.read(), 20)
        found += [as_json(item)["event"] for item in answer.items if item.HasField("event")]
    sequences = [int(event["sequence"]) for event in found]
    assert sequences == sorted(set(sequences))
    assert sum(event["type"] == "nightcrew.execution.succeeded" for event in found) == 40
    stuck.cancel()


async def test_a_client_that_leaves_ends_its_watch_at_once(box):
    signal = box.runtime.services.watch._feed.signal
    waiting = len(signal._waiters)
    watchers = [Watcher(box, ids=["nobody"]) for _ in range(50)]

    async def all_wait():
        return len(signal._waiters) >= waiting + 50

    await until(all_wait, what="fifty watchers wait")
    await asyncio.gather(*(watcher.close() for watcher in watchers))

    async def none_waits():
        return len(signal._waiters) == waiting

    await until(none_waits, what="nobody waits any more", seconds=3)
