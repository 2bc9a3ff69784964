"""Outbound hooks and their deliveries on a real file."""

from dataclasses import replace
from datetime import timedelta

import pytest

from nightcrew.domain.delivery import Delivery, DeliveryState, HookState
from nightcrew.domain.page import ListQuery


def hook(start, **changes):
    return HookState(**{"name": "out", "cursor": 5, "url": "https://h", "create_time": start, **changes})


def delivery(start, sequence, **changes):
    fields = {
        "hook": "out",
        "sequence": sequence,
        "event_type": "a.b",
        "state": DeliveryState.RETRYING,
        "attempts": 1,
        "next_attempt_time": start + timedelta(seconds=sequence),
        "last_attempt_time": start,
        "status": 500,
        "reason": "no",
        "create_time": start,
    }
    return Delivery(**{**fields, **changes})


@pytest.fixture
async def write(store):
    return store.write


async def test_a_hook_keeps_how_far_it_has_got(store, write, start):
    assert await write(lambda tx: tx.outbound.hook("out")) is None
    await write(lambda tx: tx.outbound.put_hook(hook(start)))
    await write(lambda tx: tx.outbound.advance("out", 9))
    await write(lambda tx: tx.outbound.advance("out", 7))
    assert await write(lambda tx: tx.outbound.hook("out")) == hook(start, cursor=9)
    await write(lambda tx: tx.outbound.put_hook(hook(start, cursor=9, disabled="gone")))
    assert (await store.reads.delivery_outlook("out"))[0] == hook(start, cursor=9, disabled="gone")
    assert await store.reads.delivery_outlook("other") == (None, 0, None)


async def test_what_is_due_comes_in_its_order(store, write, start):
    await write(lambda tx: tx.outbound.put_hook(hook(start)))
    for sequence in (3, 1, 2, 9):
        await write(lambda tx, sequence=sequence: tx.outbound.put(delivery(start, sequence)))
    await write(lambda tx: tx.outbound.put(delivery(start, 1, hook="other")))
    now = start + timedelta(seconds=3)
    due = await store.reads.deliveries_due("out", now, limit=10)
    assert [one.sequence for one in due] == [1, 2, 3]
    assert await store.reads.deliveries_due("out", now, limit=1) == [delivery(start, 1)]
    _, retrying, following = await store.reads.delivery_outlook("out")
    assert (retrying, following) == (4, start + timedelta(seconds=1))
    again = delivery(start, 1, attempts=2, next_attempt_time=now + timedelta(hours=1))
    await write(lambda tx: tx.outbound.put(again))
    assert await write(lambda tx: tx.outbound.delivery("out", 1)) == again
    await write(lambda tx: tx.outbound.remove("out", 2))
    assert [one.sequence for one in await store.reads.deliveries_due("out", now, limit=10)] == [3]


def dead(start, sequence, **changes):
    return delivery(start, sequence, state=DeliveryState.DEAD, attempts=10, next_attempt_time=None, **changes)


async def test_the_dead_are_revived_all_or_one(store, write, start):
    now = start + timedelta(days=1)
    for one in (dead(start, 1), dead(start, 2), delivery(start, 3), dead(start, 1, hook="other")):
        await write(lambda tx, one=one: tx.outbound.put(one))
    assert await store.reads.deliveries_due("out", start, limit=10) == []
    assert await write(lambda tx: tx.outbound.revive("out", sequence=1, now=now)) == 1
    revived = await write(lambda tx: tx.outbound.delivery("out", 1))
    assert revived == replace(dead(start, 1), state=DeliveryState.RETRYING, attempts=0, next_attempt_time=now)
    assert await write(lambda tx: tx.outbound.revive("out", now=now)) == 1
    assert await write(lambda tx: tx.outbound.revive("out", now=now)) == 0
    assert await write(lambda tx: tx.outbound.revive("out", sequence=99, now=now)) == 0
    assert await write(lambda tx: tx.outbound.delivery("other", 1)) == dead(start, 1, hook="other")


async def test_the_dead_are_forgotten_and_the_rest_is_not(store, write, start):
    late = start + timedelta(days=1)
    for one in (dead(start, 1), dead(start, 2, last_attempt_time=late), delivery(start, 3)):
        await write(lambda tx, one=one: tx.outbound.put(one))
    assert await write(lambda tx: tx.outbound.forget(before=late, limit=10)) == 1
    page = await store.reads.deliveries(ListQuery())
    assert sorted(one.sequence for one in page.items) == [2, 3]


async def test_figures(store, write, start):
    await write(lambda tx: tx.outbound.put_hook(hook(start, cursor=0)))
    await write(lambda tx: tx.outbound.put_hook(hook(start, name="idle", cursor=0, disabled="gone")))
    for one in (dead(start, 1), dead(start, 2), delivery(start, 3)):
        await write(lambda tx, one=one: tx.outbound.put(one))
    idle, out = await store.reads.hook_figures()
    assert (idle.name, idle.disabled, idle.retrying, idle.dead) == ("idle", "gone", 0, 0)
    assert (out.name, out.lag, out.retrying, out.dead) == ("out", 0, 1, 2)
