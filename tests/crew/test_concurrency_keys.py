"""Concurrency keys on the real store: how many of one key are under way, whose turn it is, and what changes them."""

import asyncio

import pytest

from nightcrew.agent import Context, agent
from nightcrew.config.settings import default_settings
from nightcrew.crew.admission import admit
from nightcrew.crew.intake import Work
from nightcrew.domain.execution import ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.spec.pool import PoolSpec
from nightcrew.services.once import Request
from nightcrew.testing.box import Box


class Customers:
    """An agent that stays with each customer until it is let go."""

    def __init__(self):
        self.inside = []
        self.order = []
        self._let_go = asyncio.Event()

    def agent(self, **execution):
        @agent(
            id="a",
            **{"max_concurrency": 0, "max_backlog": 0, "concurrency_key": "input.customer", **execution},
        )
        async def work(ctx: Context, customer: str = "", number: int = 0):
            self.inside.append(customer)
            self.order.append(f"{customer}{number or ''}")
            try:
                await self._let_go.wait()
            finally:
                self.inside.remove(customer)

        return work

    async def all_out(self, box):
        self._let_go.set()
        self._let_go = asyncio.Event()
        await box.settle()


@pytest.fixture
def customers():
    return Customers()


async def put(box, *inputs, kind=TriggerKind.EVENT):
    """Admits works at once, as the runtime would."""
    trigger = TriggerRef(kind=kind)
    works = [Work(execution_id=box.engine.commits._new_id(), trigger=trigger, input=one) for one in inputs]

    def unit(tx, after):
        return admit(tx, after, tx.agents.get("a"), works, now=box.now)

    await box.engine.commits.run(unit)
    await box.settle()


def of(text):
    return [{"customer": one} for one in text]


@pytest.mark.parametrize("bound", [1, 2, 3])
async def test_so_many_of_one_key_are_under_way(customers, bound):
    async with Box(customers.agent(max_concurrency_per_key=bound)) as box:
        await put(box, *of("xxxxyz"))
        assert sorted(customers.inside) == ["x"] * bound + ["y", "z"]
        while customers.inside:
            await customers.all_out(box)
            assert customers.inside.count("x") <= bound
        assert {one.state for one in await box.executions()} == {ExecutionState.SUCCEEDED}


async def test_its_own_places_bound_the_whole(customers):
    async with Box(customers.agent(max_concurrency=2)) as box:
        await put(box, *of("abcdef"))
        while customers.inside:
            assert len(customers.inside) <= 2
            await customers.all_out(box)
        assert sorted(customers.order) == list("abcdef")


async def test_keys_take_turns(customers):
    async with Box(customers.agent(max_concurrency=1)) as box:
        await put(box, *of("aaaaabbc"))
        while customers.inside:
            await customers.all_out(box)
        assert "".join(customers.order) == "abcabaaa"


async def test_a_customer_with_ten_thousand_does_not_delay_another(customers):
    async with Box(customers.agent(max_concurrency=2, max_concurrency_per_key=2)) as box:
        await put(box, *of("a" * 10_000))
        await put(box, *of("b"))
        assert customers.inside == ["a", "a"]
        await customers.all_out(box)
        assert sorted(customers.inside) == ["a", "b"]


async def test_of_one_key_priority_goes_first_then_age(customers):
    async with Box(customers.agent()) as box:
        await put(box, {"customer": "a", "number": 1})
        for number, priority in ((2, 0), (3, 5), (4, 0), (5, 5)):
            await box.trigger("a", {"customer": "a", "number": number}, priority=priority)
        while customers.inside:
            await customers.all_out(box)
        assert customers.order == ["a1", "a3", "a5", "a2", "a4"]


async def test_what_waits_keeps_the_place_of_its_key():
    @agent(id="a", max_concurrency=0, concurrency_key="input.customer")
    async def work(ctx: Context, customer: str):
        await ctx.sleep(hours=1)

    async with Box(work) as box:
        await put(box, *of("aab"))
        assert [one.state for one in await box.executions()] == [
            ExecutionState.WAITING,
            ExecutionState.QUEUED,
            ExecutionState.WAITING,
        ]
        await box.advance(minutes=61)
        assert [one.state for one in await box.executions()] == [
            ExecutionState.SUCCEEDED,
            ExecutionState.WAITING,
            ExecutionState.SUCCEEDED,
        ]


async def test_what_has_no_key_shares_one_and_is_counted(customers):
    async with Box(customers.agent()) as box:
        await put(box, {"number": 1}, {"customer": None, "number": 2}, {"customer": "a"})
        assert customers.inside == ["", "a"]
        _, status = await box.services.status.of("a")
        assert status.filter_fault.count == 1
        assert "concurrency_key" in status.filter_fault.last
        await customers.all_out(box)
        assert len(customers.order) == 3


async def test_a_restart_keeps_keys_and_turns(customers):
    async with Box(customers.agent(max_concurrency=2)) as box:
        await put(box, *of("aaabbb"))
        assert sorted(customers.inside) == ["a", "b"]
        await box.restart()
        assert sorted(customers.inside) == ["a", "b"]
        while customers.inside:
            assert sorted(customers.inside) == ["a", "b"]
            await customers.all_out(box)
        assert {one.state for one in await box.executions()} == {ExecutionState.SUCCEEDED}


async def test_what_is_cancelled_in_the_backlog_frees_its_turn(customers):
    async with Box(customers.agent()) as box:
        await put(box, *of("aab"))
        _, second, _ = await box.executions()
        await box.services.executions.cancel(second.id, reason="", request=Request(method="test"))
        await box.settle()
        await customers.all_out(box)
        await put(box, *of("a"))
        assert customers.inside == ["a"]


async def change(box, **execution):
    paths = [f"spec.execution.{name}" for name in execution]
    await box.services.agents.update(
        "a", {"spec": {"execution": execution}}, paths=paths, etag="", request=Request(method="test")
    )
    await box.settle()


async def test_another_expression_is_for_what_is_open_too(customers):
    async with Box(customers.agent(max_concurrency=1)) as box:
        await put(box, *({"customer": "a", "number": number} for number in (1, 2, 3)))
        assert customers.inside == ["a"]
        await change(box, concurrency_key="input.number", max_concurrency=0)
        assert customers.inside == ["a", "a", "a"]
        await put(box, {"customer": "a", "number": 2})
        assert len(customers.inside) == 3
        await change(box, concurrency_key="", max_concurrency_per_key=None)
        assert len(customers.inside) == 4


async def test_more_of_one_key_start_when_its_bound_is_raised(customers):
    async with Box(customers.agent()) as box:
        await put(box, *of("aaa"))
        await change(box, max_concurrency_per_key=2)
        assert customers.inside == ["a", "a"]


async def test_while_it_is_held_people_are_served_within_their_keys(customers):
    async with Box(customers.agent()) as box:
        await put(box, *of("a"))
        await put(box, *of("ab"))
        await box.command("pause", "a")
        await put(box, *of("cc"))
        await put(box, *of("aadde"), kind=TriggerKind.MANUAL)
        assert sorted(customers.inside) == ["a", "b", "d", "e"]


async def test_with_a_pool_both_decide(customers):
    settings = default_settings().model_copy(update={"pools": {"p": PoolSpec(concurrency=2)}})
    async with Box(customers.agent(pools=["p"]), settings=settings) as box:
        await put(box, *of("aaabc"))
        assert sorted(customers.inside) == ["a", "b"]
        while customers.inside:
            assert len(customers.inside) <= 2
            assert len(set(customers.inside)) == len(customers.inside)
            await customers.all_out(box)
        assert sorted(customers.order) == list("aaabc")


async def test_a_cancel_of_what_waits_lets_the_next_of_its_key_begin():
    @agent(id="a", max_concurrency=0, concurrency_key="input.customer")
    async def work(ctx: Context, customer: str):
        await ctx.wait_signal("never")

    async with Box(work) as box:
        await put(box, *of("aa"))
        first, second = await box.executions()
        await box.services.executions.cancel(first.id, reason="", request=Request(method="test"))
        await box.settle()
        assert (await box.execution(first.id)).state is ExecutionState.CANCELLED
        assert (await box.execution(second.id)).state is ExecutionState.WAITING


async def test_a_total_timeout_of_what_waits_lets_the_next_of_its_key_begin():
    @agent(id="a", max_concurrency=0, concurrency_key="input.customer", total_timeout=60)
    async def work(ctx: Context, customer: str):
        await ctx.wait_signal("never")

    async with Box(work) as box:
        await put(box, *of("a"))
        await box.advance(seconds=30)
        await put(box, *of("a"))
        await box.advance(seconds=31)
        states = [one.state for one in await box.executions()]
        assert states == [ExecutionState.TIMED_OUT, ExecutionState.WAITING]


async def test_keys_that_have_nothing_to_start_are_looked_at_once(customers):
    async with Box(customers.agent()) as box:
        await put(box, *({"customer": f"c{number}"} for number in range(200)))
        await put(box, *({"customer": f"c{number}"} for number in range(200)))
        ready = await box.engine.store.write(lambda tx: tx.keys.following("a", None))
        assert ready is None
        while customers.inside:
            await customers.all_out(box)
        assert len(customers.order) == 400
