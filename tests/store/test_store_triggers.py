"""The index of event triggers, in any store: in step with the agents, also when units and transactions are undone."""

import asyncio

import pytest

from nightcrew.domain.agent import AgentState
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.domain.lag import Lag
from nightcrew.domain.spec.trigger import EventMatch
from nightcrew.ports.events import Chain


def on(*types, trigger_id="event", source="", **more):
    return {"id": trigger_id, "event": {"types": list(types), "source": source}, **more}


@pytest.fixture
def listening(make):
    def agent(agent_id="a", *triggers, state=AgentState.ACTIVE, **fields):
        return make.agent(agent_id, spec=make.spec(triggers=list(triggers)), state=state, **fields)

    return agent


def found(store, kind, source="/shop"):
    return store.write(lambda tx: [":".join(one) for one in tx.event_triggers.candidates(kind, source)])


async def test_triggers_are_found_by_type_prefix_and_source(store, listening):
    agents = [
        listening("exact", on("shop.order")),
        listening("prefix", on("shop.*"), on("mill.*", trigger_id="other")),
        listening("any", on(), on("*", trigger_id="star")),
        listening("from", on("shop.order", source="/shop"), on("shop.order", source="/else", trigger_id="x")),
        listening("twice", on("shop.order", "shop.*", "shop.order", "*")),
        listening("off", on("shop.order", disabled=True)),
    ]
    await store.write(lambda tx: [tx.agents.insert(one) for one in agents])
    assert await found(store, "shop.order") == [
        "any:event",
        "any:star",
        "exact:event",
        "from:event",
        "prefix:event",
        "twice:event",
    ]
    assert await found(store, "shop.order", "/else") == [
        "any:event",
        "any:star",
        "exact:event",
        "from:x",
        "prefix:event",
        "twice:event",
    ]
    assert await found(store, "shop") == ["any:event", "any:star", "twice:event"]
    assert await found(store, "mill.") == ["any:event", "any:star", "prefix:other", "twice:event"]


@pytest.mark.parametrize("state", list(AgentState))
async def test_agents_that_take_no_events_are_not_found(store, listening, state):
    await store.write(lambda tx: tx.agents.insert(listening("a", on("t"), state=state)))
    takes = state not in {AgentState.STOPPED, AgentState.STOPPING}
    assert await found(store, "t") == (["a:event"] if takes else [])


async def test_the_index_follows_every_write_and_a_reopened_store(make_store, listening):
    store = make_store()
    await store.open()
    try:
        assert await found(store, "t") == []
        await store.write(lambda tx: tx.agents.insert(listening("a", on("t"))))
        assert await found(store, "t") == ["a:event"]
        changed = listening("a", on("u"), revision=2)
        assert await store.write(lambda tx: tx.agents.save(changed, revision=1))
        assert not await store.write(lambda tx: tx.agents.save(listening("a", on("t")), revision=1))
        assert (await found(store, "t"), await found(store, "u")) == ([], ["a:event"])
        await store.close()
        await store.open()
        assert (await found(store, "t"), await found(store, "u")) == ([], ["a:event"])
        await store.write(lambda tx: tx.agents.delete("a"))
        assert await found(store, "u") == []
    finally:
        await store.close()


async def test_a_unit_that_fails_takes_its_triggers_back_and_no_others(store, listening):
    await store.write(lambda tx: tx.agents.insert(listening("kept", on("t"))))

    def fails(tx):
        tx.agents.insert(listening("new", on("t")))
        tx.agents.delete("kept")
        listens = {agent_id for agent_id, _ in tx.event_triggers.candidates("t", "")}
        assert "new" in listens
        assert "kept" not in listens
        raise LookupError

    # One batch: a unit that succeeds, one that fails after it has written, another that succeeds.
    outcomes = await asyncio.gather(
        store.write(lambda tx: tx.agents.insert(listening("before", on("t")))),
        store.write(fails),
        store.write(lambda tx: tx.agents.insert(listening("after", on("t")))),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], LookupError)
    expected = ["after:event", "before:event", "kept:event"]
    assert await found(store, "t") == expected
    for _ in range(2):
        with pytest.raises(LookupError):
            await store.write(fails)
        assert await found(store, "t") == expected


def lag(trigger_id="event", **fields):
    values = {"agent_id": "a", "trigger_id": trigger_id, "cursor": 10, "match": EventMatch(types=("t",))}
    return Lag(**(values | fields))


async def test_a_lag_comes_back_as_it_went_in(store, listening):
    full = EventMatch(types=("t", "u.*"), source="/s", subject="x", filter="event.data.ok", allow_self=True)
    made = [lag(match=full), lag("other", until=20), lag("third", until=5, reason="stopped")]
    await store.write(lambda tx: [tx.lags.begin(one) for one in made])
    kept = await store.write(lambda tx: tx.lags.of("a"))
    assert [one.number for one in kept] == [1, 2, 3]
    assert [(one.trigger_id, one.cursor, one.until, one.match, one.reason) for one in kept] == [
        (one.trigger_id, one.cursor, one.until, one.match, one.reason) for one in made
    ]
    assert await store.write(lambda tx: tx.lags.of("b")) == []
    assert await store.write(lambda tx: tx.lags.agents()) == ["a"]
    assert await store.write(lambda tx: [one.number for one in tx.lags.behind(11)]) == [1, 2, 3]
    assert await store.write(lambda tx: tx.lags.behind(10)) == []


async def test_what_waits_of_a_trigger_is_known(store):
    def states():
        return store.write(
            lambda tx: (tx.lags.lagging("a"), tx.lags.is_open("a", "event"), tx.lags.is_open("a", "other"))
        )

    assert await states() == (False, None, None)
    await store.write(lambda tx: tx.lags.begin(lag()))
    assert await states() == (True, True, None)
    await store.write(lambda tx: tx.lags.close("a", "event", until=12))
    assert await states() == (True, False, None)
    await store.write(lambda tx: tx.lags.begin(lag(cursor=12)))
    assert await states() == (True, True, None)
    await store.write(lambda tx: tx.lags.begin(lag("other")))
    assert await states() == (True, True, True)

    def undone(tx):
        tx.lags.drop("a", until=30, reason="stopped")
        assert not tx.lags.lagging("a")
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(undone)
    assert await states() == (True, True, True)
    await store.write(lambda tx: tx.lags.drop("a", "other", until=30, reason="removed"))
    assert await states() == (True, True, None)
    first, second, third = await store.write(lambda tx: tx.lags.of("a"))
    assert (first.until, second.until, third.until, third.reason) == (12, None, 30, "removed")
    await store.write(lambda tx: tx.lags.advance(first, cursor=11))
    assert (await store.write(lambda tx: tx.lags.of("a")))[0].cursor == 11
    await store.write(lambda tx: [tx.lags.end(first), tx.lags.end(second)])
    assert await states() == (False, None, None)
    assert await store.write(lambda tx: tx.lags.agents()) == ["a"]


async def test_an_agents_lags_go_with_it(store, listening):
    await store.write(lambda tx: [tx.agents.insert(listening("a", on("t"))), tx.lags.begin(lag())])
    await store.write(lambda tx: tx.agents.delete("a"))
    assert await store.write(lambda tx: (tx.lags.agents(), tx.lags.lagging("a"))) == ([], False)


async def test_chains_are_counted(store, make):
    def caused(sequence, depth, **fields):
        trigger = TriggerRef(
            kind=TriggerKind.EVENT, trigger_id="t", event_sequence=sequence, root_sequence=3, depth=depth
        )
        return make.execution(trigger=trigger, **fields)

    first, manual = caused(3, 1), make.execution(trigger=TriggerRef(kind=TriggerKind.MANUAL))
    await store.write(lambda tx: [tx.executions.insert(one) for one in (first, manual)])
    assert await store.write(lambda tx: tx.chains.of(first.id)) == Chain(3, 1)
    assert await store.write(lambda tx: (tx.chains.of(manual.id), tx.chains.of("nobody"))) == (None, None)
    assert await store.write(lambda tx: tx.executions.get(first.id)) == first
    await store.write(lambda tx: [tx.chains.add(3, 2), tx.chains.add(3, 5), tx.chains.add(4, 1)])
    assert await store.write(lambda tx: [tx.chains.count(root) for root in (3, 4, 5)]) == [7, 1, 0]


async def test_events_of_a_part_of_the_log(store, make):
    kinds = [
        "shop.a",
        "nightcrew.execution.queued",
        "shop.b",
        "nightcrew.execution.failed",
        "mill",
        "nightcrew",
    ]
    await store.write(lambda tx: [tx.events.append(make.event(kind)) for kind in kinds])

    def matching(*types, after=0, until=99, limit=99):
        return store.write(
            lambda tx: [
                one.sequence for one in tx.events.matching(types, after=after, until=until, limit=limit)
            ]
        )

    assert await matching("*") == [1, 3, 4, 5, 6]
    assert await matching("shop.*") == [1, 3]
    assert await matching("mill", "shop.b") == [3, 5]
    assert await matching("nightcrew.execution.*") == [4]
    assert await matching("*", after=1, until=4) == [3, 4]
    assert await matching("*", limit=2) == [1, 3]
    assert await matching("%") == []
    assert await store.write(lambda tx: tx.events.newest()) == 6
