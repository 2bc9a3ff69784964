"""The event log and the logs of executions, in any store: order, bounds, and sequences never used twice."""

from dataclasses import asdict

import pytest

from nightcrew.domain.event import Event
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.filter import Order, parse
from nightcrew.domain.filter_match import matches
from nightcrew.domain.log import LogStream, Severity
from nightcrew.domain.page import ListQuery
from nightcrew.services.fields import EVENTS, event_values


async def test_an_event_comes_back_as_it_went_in(store, make):
    full = make.event(
        id="mine",
        subject="s",
        data='{"a":"ü"}',
        agent_id="digest",
        execution_id="x",
        cause_sequence=7,
        actor="me",
        extensions={"traceparent": "00"},
    )
    sequence = await store.write(lambda tx: tx.events.append(full))
    (event,) = await store.reads.events_after(0, limit=10)
    assert event == Event(**asdict(full), sequence=sequence)


async def test_the_runtimes_own_events_are_named_by_their_sequence(store, make):
    sequences = await store.write(lambda tx: [tx.events.append(make.event()) for _ in range(2)])
    events = await store.reads.events_after(0, limit=10)
    assert [one.id for one in events] == [str(one) for one in sequences]


async def test_bounds_of_an_empty_log(store):
    assert await store.reads.event_bounds() == (1, 0)
    assert await store.reads.events_after(0, limit=10) == []
    assert (await store.reads.store_figures()).sequence == 0


async def test_ten_thousand_events_in_order_each_once(store, make):
    for _ in range(10):
        await store.write(lambda tx: [tx.events.append(make.event(data=str(n))) for n in range(1000)])
    seen, after = [], 0
    while page := await store.reads.events_after(after, limit=333):
        assert len(page) <= 333
        seen += page
        after = page[-1].sequence
    assert [one.sequence for one in seen] == list(range(1, 10_001))
    assert [one.data for one in seen] == [str(n) for n in range(1000)] * 10
    assert await store.reads.event_bounds() == (1, 10_000)
    assert (await store.reads.store_figures()).sequence == 10_000


async def test_a_unit_that_failed_leaves_no_event(store, make):
    def unit(tx):
        tx.events.append(make.event())
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(unit)
    assert await store.reads.events_after(0, limit=10) == []


async def test_logs_belong_to_a_run(store, make):
    run = make.execution(state=ExecutionState.RUNNING, lease=2)
    other = make.execution(state=ExecutionState.RUNNING, lease=1)
    await store.write(lambda tx: [tx.executions.insert(one) for one in (run, other)])
    entries = [
        make.log("one"),
        make.log(
            "two",
            time=make.at(0.5),
            severity=Severity.ERROR,
            stream=LogStream.TOKEN,
            fields={"a": [1, None], "ü": {"b": 1.5}},
        ),
    ]
    assert await store.write(lambda tx: tx.logs.append(run.id, entries, lease=2))
    assert await store.write(lambda tx: tx.logs.append(other.id, [make.log("theirs")], lease=1))
    assert await store.write(lambda tx: tx.logs.append(run.id, [make.log("three")], lease=2))
    assert not await store.write(lambda tx: tx.logs.append(run.id, [make.log("late")], lease=1))
    assert not await store.write(lambda tx: tx.logs.append("nobody", [make.log("late")], lease=1))

    kept = await store.reads.logs_after(run.id, 0, limit=10)
    assert [one.message for one in kept] == ["one", "two", "three"]
    assert [one.execution_id for one in kept] == [run.id] * 3
    two = {k: v for k, v in asdict(kept[1]).items() if k not in {"execution_id", "sequence"}}
    assert two == asdict(entries[1])
    assert kept[0].sequence < kept[1].sequence < kept[2].sequence
    assert await store.reads.logs_after(run.id, kept[0].sequence, limit=1) == [kept[1]]
    assert await store.reads.logs_after("nobody", 0, limit=10) == []


async def test_a_published_event_is_known_by_its_source_and_id(store, make):
    def known(source, event_id, since=0):
        return store.write(lambda tx: tx.events.published(source, event_id, since=make.at(since)))

    assert await known("/shop", "1") is None
    await store.write(lambda tx: tx.events.remember("/shop", "1", sequence=7, now=make.at(10)))
    assert await known("/shop", "1") == 7
    assert await known("/shop", "1", since=10) == 7
    assert await known("/shop", "1", since=10.1) is None
    assert await known("/shop", "2") is None
    assert await known("/other", "1") is None
    await store.write(lambda tx: tx.events.remember("/shop", "1", sequence=9, now=make.at(20)))
    assert await known("/shop", "1") == 9


async def test_what_is_known_of_published_events_is_forgotten_the_oldest_first(store, make):
    for n in range(5):
        await store.write(lambda tx, n=n: tx.events.remember("/s", str(n), sequence=n, now=make.at(n)))

    def left():
        return store.write(
            lambda tx: [n for n in range(5) if tx.events.published("/s", str(n), since=make.at())]
        )

    assert await store.write(lambda tx: tx.events.forget(before=make.at(3), limit=2)) == 2
    assert await left() == [2, 3, 4]
    assert await store.write(lambda tx: tx.events.forget(before=make.at(3), limit=2)) == 1
    assert await left() == [3, 4]


async def listed(store, text="", **query):
    page = await store.reads.events(ListQuery(where=parse(text, EVENTS), **query))
    return [one.sequence for one in page.items], page.next_page_token


FILTERS = {
    "": [4, 3, 2, 1],
    'type = "shop.order"': [2, 1],
    'type:"ORDER"': [2, 1],
    'source = "/agents/a"': [3],
    'id = "mine"': [1],
    'id = "3"': [3],
    'subject != ""': [2],
    'agent_id = "a"': [3],
    'execution_id = "x"': [3],
    "sequence > 2": [4, 3],
    "cause_sequence = 1": [3],
    'time > "2026-03-01T12:00:00Z"': [4],
    'extensions.tenant = "blue"': [2],
    'extensions.tenant != "blue"': [4, 3, 1],
    "extensions:tenant": [2],
    'type = "shop.order" AND NOT id = "mine"': [2],
}


@pytest.mark.parametrize(("text", "sequences"), FILTERS.items())
async def test_a_filter_finds_the_same_in_the_store_and_in_memory(store, make, text, sequences):
    made = [
        make.event("shop.order", id="mine"),
        make.event("shop.order", id="b", subject="s", extensions={"tenant": "blue"}),
        make.event("own", source="/agents/a", agent_id="a", execution_id="x", cause_sequence=1),
        make.event("late", time=make.at(60)),
    ]
    await store.write(lambda tx: [tx.events.append(one) for one in made])
    assert (await listed(store, text))[0] == sequences
    where = parse(text, EVENTS)
    kept = await store.reads.events_after(0, limit=10)
    found = [one.sequence for one in kept if where is None or matches(where, event_values(one))]
    assert found == sequences[::-1]


async def test_pages_of_events_are_stable_while_events_are_added(store, make):
    await store.write(lambda tx: [tx.events.append(make.event()) for _ in range(5)])
    first, token = await listed(store, page_size=2)
    await store.write(lambda tx: [tx.events.append(make.event()) for _ in range(3)])
    second, token = await listed(store, page_size=2, page_token=token)
    third, token = await listed(store, page_size=2, page_token=token)
    assert (first, second, third, token) == ([5, 4], [3, 2], [1], "")
    forward = (Order("sequence"),)
    assert (await listed(store, order=forward))[0] == list(range(1, 9))


async def test_large_events_are_read_a_few_at_a_time(store, make):
    large = "x" * 500_000
    for _ in range(4):
        await store.write(lambda tx: [tx.events.append(make.event(data=large)) for _ in range(32)])
    found, after = [], 0
    while page := await store.reads.events_after(after, limit=512):
        assert len(page) < 128
        found += [one.sequence for one in page]
        after = found[-1]
    assert found == list(range(1, 129))
