"""The runtime in a box as an author of agents uses it."""

import asyncio
import threading
import time

import pytest

from nightcrew.agent import Context, agent, cron, every
from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument, NotFound
from nightcrew.domain.execution import ExecutionState
from nightcrew.services.once import Request
from nightcrew.testing.box import Box


@agent(triggers=[cron("0 9 * * *", tz="Europe/Berlin")])
async def digest(ctx: Context, to: str = "me"):
    ctx.state["sent"] = ctx.state.get("sent", 0) + 1
    ctx.log.info("sent")
    return {"to": to, "sent": ctx.state["sent"]}


def helper(n):
    raise NotImplementedError("tests put another in my place")


class Scripted:
    """An object of an agent's framework."""

    async def ainvoke(self, data):
        return {"seen": data}


scripted = agent(id="scripted")(Scripted())


async def test_an_agent_in_its_tests():
    async with Box(digest) as box:
        execution = await box.run("digest", {"to": "you"})
        assert (execution.state, execution.result) == (ExecutionState.SUCCEEDED, '{"to":"you","sent":1}')
        assert [one.message for one in await box.logs(execution.id)] == ["sent"]
        await box.advance(days=3)
        assert [f"{one.nominal_time:%d %H:%M}" for one in await box.fires("digest")] == [
            "01 08:00",
            "02 08:00",
            "03 08:00",
        ]
        assert (await box.executions("digest"))[-1].result == '{"to":"me","sent":4}'
        assert (await box.agent("digest")).display_name == ""
        folder = box.engine.settings.data
        assert folder.exists()
    assert not folder.exists()


async def test_objects_with_a_method_to_call_are_agents_too():
    async with Box(scripted) as box:
        assert (await box.run("scripted", {"a": 1})).result == '{"seen":{"a":1}}'


async def test_a_second_box_on_a_folder_goes_on_where_the_first_was(tmp_path):
    async with Box(digest, folder=tmp_path) as box:
        await box.run("digest")
    async with Box(digest, folder=tmp_path) as box:
        assert (await box.run("digest")).result == '{"to":"me","sent":2}'


async def test_what_is_no_agent_is_refused():
    async def plain():
        return 1

    with pytest.raises(InvalidArgument, match="decorate it with @agent"):
        Box(plain)


async def test_sync_functions_run_in_this_process_one_at_a_time_while_time_stands_still(monkeypatch):
    inside, most = [], []

    @agent(max_concurrency=0, triggers=[every(minutes=1)])
    def local(ctx, n: int = 0):
        inside.append(n)
        most.append(len(inside))
        ctx.log.info("inside", n=n)
        print("printed")
        time.sleep(0.01)
        inside.remove(n)
        return helper(n)

    monkeypatch.setitem(globals(), "helper", lambda n: n + 1)
    async with Box(local) as box:
        before = box.now
        assert (await box.run("local", {"n": 4})).result == "5"
        assert box.now == before
        runs = await asyncio.gather(*(box.trigger("local", {"n": n}) for n in range(5)))
        await box.settle()
        assert [(await box.execution(one.id)).result for one in runs] == ["1", "2", "3", "4", "5"]
        assert [one.message for one in await box.logs(runs[0].id)] == ["inside", "printed"]
        await box.advance(minutes=2)
        assert len(await box.fires("local")) == 2
    assert set(most) == {1}


async def test_a_sync_function_that_is_cancelled_ends_and_one_that_holds_on_is_given_up():
    released = threading.Event()

    @agent(overlap="cancel_other", cancel_grace=30, triggers=[every(hours=1)])
    def holds(ctx):
        if ctx.trigger.trigger_id:
            return "done"
        asyncio.run_coroutine_threadsafe(ask(box, ctx.execution_id), loop)
        released.wait(60)
        return "too late"

    async def ask(box, execution_id):
        await box.services.executions.cancel(execution_id, reason="", request=Request(method="test"))

    loop = asyncio.get_running_loop()
    async with Box(holds) as box:
        run = await box.trigger("holds")
        assert not (await box.execution(run.id)).state.final
        await box.advance(31)
        assert (await box.execution(run.id)).state is ExecutionState.CANCELLED
        released.set()
        await box.advance(hours=1)
        assert (await box.executions())[-1].result == '"done"'


async def test_a_program_that_waits_for_what_is_not_virtual_is_given_real_time():
    @agent(timeout=60)
    async def calls():
        await asyncio.sleep(0.05)
        return "answered"

    async with Box(calls) as box:
        before = box.now
        assert (await box.run("calls", real=10)).result == '"answered"'
        assert box.now == before
        assert (await box.run("calls")).state is ExecutionState.TIMED_OUT


async def test_a_restart_is_an_outage_of_the_same_box():
    async with Box(digest) as box:
        await box.advance(hours=9)
        await box.restart(days=2)
        assert [(f"{one.nominal_time:%d}", one.outcome.value) for one in await box.fires()] == [
            ("01", "OUTCOME_STARTED"),
            ("02", "OUTCOME_MISSED_CATCH_UP"),
            ("03", "OUTCOME_STARTED"),
        ]
        assert [one.result for one in await box.executions()] == [
            '{"to":"me","sent":1}',
            '{"to":"me","sent":2}',
        ]
        kinds = [one.type for one in await box.events("digest")]
        assert kinds[0] == "nightcrew.agent.created"
        assert kinds.count("nightcrew.fire.missed") == 1


async def test_agents_are_commanded_as_by_people():
    async with Box(digest) as box:
        assert (await box.command("pause", "digest")).state is AgentState.PAUSED
        await box.advance(days=2)
        assert await box.executions() == []
        await box.command("resume", "digest")
        assert [one.count for one in await box.fires()] == [2]
        await box.command("stop", "digest")
        with pytest.raises(FailedPrecondition):
            await box.command("resume", "digest")


async def test_a_clock_that_is_set_is_noticed_as_a_runtime_notices_it():
    async with Box(digest) as box:
        box.clock.shift_wall(3 * 86_400)
        await box.advance(seconds=29)
        assert await box.fires() == []
        await box.advance(seconds=1)
        assert [one.count for one in await box.fires()] == [2, 1]


async def test_waiting_has_a_bound_of_virtual_time():
    @agent
    async def slow():
        await box.clock.sleep(7200)

    async with Box(slow) as box:
        with pytest.raises(TimeoutError, match=r"after 3600\.0 s of virtual time"):
            await box.run("slow")
        (execution,) = await box.executions("slow")
        assert (await box.ended(execution.id)).state is ExecutionState.SUCCEEDED
        with pytest.raises(NotFound):
            await box.trigger("nobody")


async def test_what_keeps_it_from_starting_is_raised(tmp_path):
    async with Box(folder=tmp_path):
        with pytest.raises(Exception, match="did not start"):
            await Box(folder=tmp_path).__aenter__()


async def test_this_machines_settings_have_no_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nightcrew.toml").write_text("drain = 77\n")
    monkeypatch.setenv("NIGHTCREW_WORKERS", "no number")
    async with Box(digest) as box:
        assert box.engine.settings.drain == 10
        assert (await box.run("digest")).state is ExecutionState.SUCCEEDED
