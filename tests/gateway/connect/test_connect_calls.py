"""Every protocol and form, through connectrpc's own client: answers, refusals with their details, watches."""

import asyncio
import contextlib

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from tests.gateway.support.connect_calls import RPCS, Calls, told
from tests.gateway.support.gateway_box import as_json, request_id, serving, until


class Watcher:
    """One watch as a client keeps it: its items in order, the last token, and how it ended."""

    def __init__(self, calls, name="WatchAgents", **fields):
        self.items = []
        self.token = ""
        self._task = asyncio.create_task(self._read(calls.stream(name, **fields)))

    async def _read(self, answers):
        async for answer in answers:
            self.items += [as_json(item) for item in answer.items]
            self.token = answer.resume_token

    @property
    def types(self):
        return [item["event"]["type"].removeprefix("nightcrew.") for item in self.items if "event" in item]

    async def sees(self, kind):
        def seen():
            if self._task.done():
                self._task.result()
            return kind in self.types

        await until(seen, what=f"the event {kind}")

    async def ends(self):
        return await asyncio.wait_for(self._task, 20)

    async def close(self):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectError):
            await self._task


async def test_an_agents_life(box, calls):
    spec = {
        "program": {"python": {"entrypoint": "gateway_programs:echo"}},
        "input": {"n": 3, "deep": [{"ä": 0.5}]},
    }
    made = await calls("CreateAgent", agent={"id": "a", "labels": {"team": "ops"}, "spec": spec})
    assert as_json(made.agent) == as_json(await box.agent("a"))
    assert (await calls("StartAgent", id="a", reason="now")).agent.state == made.agent.STATE_ACTIVE
    run = (await calls("TriggerAgent", id="a", input={"more": None}, wait="10s")).execution
    assert as_json(run) == as_json(await box.execution(run.id))
    assert as_json(run.result) == {"n": 3.0, "deep": [{"ä": 0.5}], "more": None}
    assert [one.id for one in (await calls("ListExecutions", filter='agent_id = "a"')).executions] == [run.id]
    patched = await calls("UpdateAgent", agent={"id": "a", "displayName": "Ä"}, updateMask="displayName")
    assert (patched.agent.display_name, patched.agent.labels) == ("Ä", {"team": "ops"})
    assert (await calls("GetRuntime")).runtime.running == 0
    await calls("DeleteAgent", id="a", force=True)
    async with told("not_found"):
        await calls("GetAgent", id="a")


async def test_a_repeated_request_gets_the_first_answer_whatever_it_came_over(box, calls):
    await box.active("a")
    key = request_id()
    first = await calls("TriggerAgent", id="a", request_id=key)
    assert (await calls("TriggerAgent", id="a", request_id=key)).execution.id == first.execution.id
    assert (await box.trigger("a", request_id=key)).id == first.execution.id


async def test_refusals_have_the_details_that_they_have_over_grpc(box, calls):
    await box.create("a", "hold")
    async with told("invalid_argument") as refusals:
        await calls("CreateAgent", agent={"id": "b", "spec": {"triggers": [{"id": "t"}]}})
    assert refusals[0].reason == "invalid_argument"
    assert refusals[0].fields == ["agent.spec.program", "agent.spec.triggers[0]"]
    async with told("not_found") as refusals:
        await calls("GetAgent", id="nobody")
    assert refusals[0].details["ResourceInfo"].resource_name == "nobody"
    async with told("already_exists"):
        await calls("CreateAgent", agent=as_json((await calls("GetAgent", id="a")).agent))
    async with told("failed_precondition") as refusals:
        await calls("PauseAgent", id="a")
    assert refusals[0].details["ErrorInfo"].metadata["state"] == "STATE_STOPPED"
    async with told("aborted"):
        await calls("DeleteAgent", id="a", etag="r99")
    async with told("resource_exhausted") as refusals:
        await box.active("b", "hold", execution={"maxBacklog": 1})
        for _ in range(3):
            await calls("TriggerAgent", id="b")
    assert refusals[0].details["RetryInfo"].retry_delay.ToSeconds() > 0


async def test_a_watch_shows_what_is_then_what_happens_and_resumes(box, calls):
    await box.active("a")
    watcher = Watcher(calls, ids=["a"], include_snapshot=True)
    await until(lambda: watcher.items, what="the snapshot")
    assert watcher.items[0]["snapshot"]["agent"]["id"] == "a"
    await box.trigger("a")
    await watcher.sees("execution.succeeded")
    await watcher.close()
    await box.trigger("a")
    again = Watcher(calls, ids=["a"], resume_token=watcher.token)
    await again.sees("execution.succeeded")
    await again.close()
    sequences = [int(item["event"]["sequence"]) for item in watcher.items + again.items if "event" in item]
    assert sequences == sorted(set(sequences))
    assert (watcher.types + again.types).count("execution.succeeded") == 2


async def test_a_watch_of_an_execution_ends_with_it(box, calls):
    await box.active("h", "hold")
    run = await box.trigger("h")
    watcher = Watcher(calls, "WatchExecution", id=run.id, include_snapshot=True)
    await until(lambda: watcher.items, what="the snapshot")
    box.gate("h").set()
    await watcher.ends()
    assert watcher.items[0]["snapshot"]["execution"]["id"] == run.id
    assert watcher.types[-1] == "execution.succeeded"


async def test_a_refusal_in_a_watch(calls):
    async with told("invalid_argument") as refusals:
        await Watcher(calls, resume_token="nonsense").ends()  # noqa: S106 - a cursor
    assert refusals[0].fields == ["resume_token"]


async def test_a_client_that_leaves_ends_its_watch_and_its_wait_at_once(box, calls):
    await box.active("h", "hold")
    signal = box.runtime.services.watch._feed.signal
    before = len(signal._waiters)
    watchers = [Watcher(calls, ids=["nobody"]) for _ in range(5)]
    await until(lambda: len(signal._waiters) == before + 5, what="five watch")
    for watcher in watchers:
        await watcher.close()
    await until(lambda: len(signal._waiters) == before, what="nobody watches", seconds=5)
    waits = box.runtime.bus.endings._waiters
    waiting = asyncio.create_task(calls("TriggerAgent", id="h", wait="60s"))
    await until(lambda: waits, what="one waits")
    waiting.cancel()
    await until(lambda: not waits, what="nobody waits", seconds=5)


async def test_a_deadline_ends_a_call(box, calls):
    await box.active("h", "hold")
    with pytest.raises(ConnectError) as caught:
        await calls("TriggerAgent", id="h", wait="60s", timeout_ms=300)
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    with pytest.raises(ConnectError) as caught:
        await Watcher(calls, timeout_ms=300).ends()
    assert caught.value.code is Code.DEADLINE_EXCEEDED


async def test_watches_and_waits_end_when_the_runtime_stops(tmp_path):
    async with serving(tmp_path / "data") as box:
        calls = Calls.plain(box)
        await box.active("h", "hold")
        watcher = Watcher(calls, include_snapshot=True)
        await until(lambda: watcher.items, what="the snapshot")  # what came before it would not be told
        waiting = asyncio.create_task(calls("TriggerAgent", id="h", wait="60s"))
        await watcher.sees("execution.started")
    with pytest.raises(ConnectError) as caught:
        await watcher.ends()
    assert caught.value.code is Code.UNAVAILABLE
    assert (await waiting).execution.id


async def test_while_it_drains_new_work_is_unavailable_and_reads_go_on(tmp_path):
    async with serving(tmp_path / "data", drain=20) as box:
        calls = Calls.plain(box)
        await box.active("h", "hold")
        await calls("TriggerAgent", id="h")
        await calls("DrainRuntime")
        async with told("unavailable") as refusals:
            await calls("TriggerAgent", id="h")
        assert refusals[0].reason == "draining"
        assert (await calls("GetRuntime")).runtime.draining


async def test_every_rpc_of_the_contract_is_served(connect):
    """An empty request is answered, or refused for a reason of its own, as over gRPC."""
    for name in sorted(RPCS.keys() - {"DrainRuntime"}):
        try:
            if RPCS[name].server_streaming:
                await anext(connect.stream(name, timeout_ms=200))
            else:
                await connect(name)
        except ConnectError as error:
            known = {Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED, Code.NOT_FOUND}
            right = error.code is Code.DEADLINE_EXCEEDED or (error.code in known and error.details)
            if not right:
                raise AssertionError(name) from error
