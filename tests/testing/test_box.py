"""The runtime in a box as an author of agents uses it."""

import pytest

from nightcrew.agent import Context, agent, cron
from nightcrew.domain.errors import InvalidArgument, NotFound
from nightcrew.domain.execution import ExecutionState
from nightcrew.testing.box import Box


@agent(triggers=[cron("0 9 * * *", tz="Europe/Berlin")])
async def digest(ctx: Context, to: str = "me"):
    ctx.state["sent"] = ctx.state.get("sent", 0) + 1
    ctx.log.info("sent")
    return {"to": to, "sent": ctx.state["sent"]}


@agent
def double(n: int):
    return 2 * n


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


async def test_a_sync_function_must_be_where_a_worker_can_import_it():
    @agent
    def local():
        return 1

    with pytest.raises(InvalidArgument, match="make it module-level"):
        Box(local)
    Box(double)


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
