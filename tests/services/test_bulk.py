"""Many executions cancelled and retried by a filter: all that is found, each once a request, nothing else."""

import asyncio

import pytest

from nightcrew.agent import Context, agent
from nightcrew.domain.errors import InvalidArgument, Unavailable
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.filter import parse
from nightcrew.services.fields import EXECUTIONS
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

S = ExecutionState
ID = "0198c0de-0000-7000-8000-000000000001"
FAILED = parse('agent_id = "work" AND state = "STATE_FAILED"', EXECUTIONS)


def work(fails=lambda _: True):
    @agent(id="work", max_concurrency=0, overlap="allow")
    async def body(ctx: Context, n: int = 0):
        if fails(n):
            raise ValueError(n)
        return n

    return body


@agent(max_concurrency=3)
async def sleeper(ctx: Context, n: int = 0):
    await ctx.sleep(3600)


@agent
async def other(ctx: Context):
    await asyncio.Event().wait()


async def filled(box, agent_id, count):
    for n in range(count):
        await box.trigger(agent_id, {"n": n})


async def test_all_that_is_found_is_cancelled_and_nothing_else():
    async with Box(sleeper, other) as box:
        await filled(box, "sleeper", 120)
        await box.trigger("other")
        mine = parse('agent_id = "sleeper"', EXECUTIONS)
        only = await box.services.bulk.cancel(
            mine, reason="", validate_only=True, request=Request(method="t")
        )
        assert (only.matched, only.done) == (120, 0)
        done = await box.services.bulk.cancel(
            mine, reason="enough", validate_only=False, request=Request(method="t")
        )
        assert (done.matched, done.done, done.failed, done.failures) == (120, 120, 0, [])
        await box.settle()
        found = await box.executions("sleeper")
        assert {(one.state, one.cancel_reason) for one in found} == {(S.CANCELLED, "enough")}
        assert [one.state for one in await box.executions("other")] == [S.RUNNING]
        again = await box.services.bulk.cancel(
            mine, reason="", validate_only=False, request=Request(method="t")
        )
        assert again.matched == 0, "what has ended is left out"


async def test_a_retry_is_made_once_a_request_and_never_finds_its_own():
    async with Box(work()) as box:
        await filled(box, "work", 60)
        request = Request(method="t", request_id=ID, digest="d")
        bulk = box.services.bulk
        first = await bulk.retry(FAILED, validate_only=False, request=request)
        assert (first.matched, first.done) == (60, 60)
        await box.settle()
        # Those that it made have failed, too, and are found by the filter.
        assert len(await box.executions("work")) == 120
        await box.advance(5)
        second = await bulk.retry(FAILED, validate_only=False, request=request)
        assert (second.matched, second.done) == (60, 60)
        await box.settle()
        found = await box.executions("work")
        assert len(found) == 120
        causes = [one.trigger.cause_execution_id for one in found if one.trigger.kind is TriggerKind.RETRY]
        assert len(set(causes)) == 60
        with pytest.raises(InvalidArgument, match="another request"):
            await bulk.retry(
                FAILED, validate_only=False, request=Request(method="t", request_id=ID, digest="other")
            )
        third = await bulk.retry(FAILED, validate_only=False, request=Request(method="t"))
        assert third.matched == 120


async def test_one_that_was_cut_off_goes_on_where_it_was(monkeypatch):
    async with Box(work()) as box:
        await filled(box, "work", 100)
        request = Request(method="t", request_id=ID, digest="d")
        run, left = box.engine.commits.run, [3]

        async def cut(unit):
            left[0] -= 1
            value = await run(unit)
            if not left[0]:
                raise Unavailable("gone")
            return value

        monkeypatch.setattr(box.services.bulk._commits, "run", cut)
        with pytest.raises(Unavailable):
            await box.services.bulk.retry(FAILED, validate_only=False, request=request)
        monkeypatch.undo()
        await box.restart()
        assert len(await box.executions("work")) == 150
        await box.services.bulk.retry(FAILED, validate_only=False, request=request)
        await box.settle()
        found = await box.executions("work")
        assert len(found) == 200
        assert len({one.trigger.cause_execution_id for one in found}) == 101


async def test_those_that_can_not_be_retried_are_told_and_keep_nobody_from_it():
    async with Box(work(), sleeper) as box:
        await filled(box, "work", 30)
        await box.trigger("sleeper")
        await box.command("stop", "sleeper")
        ended = parse('state = "STATE_FAILED" OR state = "STATE_CANCELLED"', EXECUTIONS)
        done = await box.services.bulk.retry(ended, validate_only=False, request=Request(method="t"))
        assert (done.matched, done.done, done.failed) == (31, 30, 1)
        assert [one.error.code for one in done.failures] == ["agent_state"]


async def test_without_a_filter_nothing_happens():
    async with Box(sleeper) as box:
        await box.trigger("sleeper")
        for call in (
            lambda: box.services.bulk.cancel(
                None, reason="", validate_only=False, request=Request(method="t")
            ),
            lambda: box.services.bulk.retry(None, validate_only=False, request=Request(method="t")),
        ):
            with pytest.raises(InvalidArgument, match="required"):
                await call()
        assert [one.state for one in await box.executions()] == [S.WAITING]
