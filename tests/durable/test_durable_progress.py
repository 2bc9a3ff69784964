"""ctx.progress over the real store: the last one said counts, few writes, and it is there after the end."""

import pytest

from nightcrew.agent import Context, SyncContext, agent
from nightcrew.domain.execution import ExecutionState
from nightcrew.testing.box import Box


async def test_the_last_said_counts_however_much_is_said():
    @agent()
    async def reader(ctx: Context):
        for number in range(100_000):
            ctx.progress(number + 1, 100_000, "rows read")

    async with Box(reader) as box:
        ended = await box.run("reader")
        assert ended.state is ExecutionState.SUCCEEDED, ended.error
        said = (await box.execution(ended.id)).progress
        assert (said.done, said.total, said.message, said.attempt) == (100_000, 100_000, "rows read", 1)


async def test_it_is_shown_while_it_waits_and_from_threads_and_sync_programs():
    @agent()
    async def waiter(ctx: Context):
        await ctx.step("work", lambda: ctx.progress(3, 10))
        await ctx.wait_signal("go")

    @agent()
    def plain(ctx: SyncContext):
        ctx.progress(7)

    async with Box(waiter, plain) as box:
        waiting = await box.trigger("waiter")
        await box.settle()
        found = await box.execution(waiting.id)
        assert found.state is ExecutionState.WAITING
        assert (found.progress.done, found.progress.total) == (3, 10)
        ended = await box.run("plain")
        assert (await box.execution(ended.id)).progress.done == 7


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((-1,), "done"),
        ((float("nan"),), "done"),
        ((True,), "done"),
        ((1, "2"), "total"),
        ((1, 2, 3), "message"),
    ],
)
async def test_what_is_no_progress_is_refused_by_name(arguments, field):
    @agent()
    async def reader(ctx: Context):
        ctx.progress(*arguments)

    async with Box(reader) as box:
        ended = await box.run("reader")
        assert ended.error.type == "InvalidArgument"
        assert field in ended.error.message
        assert ended.progress is None
