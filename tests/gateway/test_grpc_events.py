"""EventService over gRPC: publishing once, all or none, listing, and watches that miss and repeat nothing."""

import asyncio
import contextlib

import pytest
from tests.gateway.support.gateway_box import as_json, refused, request_id, serving, until

from nightcrew.v1 import event_service_pb2

ORDER = {"type": "shop.order.created", "source": "/shop", "data": {"order": 42}}


async def published(box, *events, **fields):
    answer = await box.call("PublishEvents", events=list(events), **fields)
    return [(one.sequence, one.deduplicated) for one in answer.results]


async def listed(box, text="", **fields):
    return [as_json(one) for one in (await box.call("ListEvents", filter=text, **fields)).events]


async def test_published_events_stand_in_the_log_as_they_were_given(box):
    whole = {
        **ORDER,
        "id": "order-42",
        "subject": "42",
        "time": "2020-01-01T00:00:00Z",
        "extensions": {"tenant": "blue"},
    }
    # Output-only fields are left out.
    (first, second) = await published(box, {**whole, "sequence": "7", "agent_id": "x", "actor": "me"}, ORDER)
    assert second[0] == first[0] + 1
    newest, before = await listed(box, 'type = "shop.order.created"')
    assert before == {**whole, "sequence": str(first[0])}
    assert newest["id"]
    assert newest["time"] > "2026"


async def test_an_event_of_the_same_source_and_id_is_the_same_event(box):
    (first,) = await published(box, {**ORDER, "id": "1"})
    again = await published(
        box, {**ORDER, "id": "1", "data": None}, {**ORDER, "id": "2"}, {**ORDER, "id": "2"}
    )
    assert again[0] == (first[0], True)
    assert again[1][1] is False
    assert again[2] == (again[1][0], True)
    assert len(await listed(box, 'type = "shop.order.created"')) == 2
    assert await published(box, {**ORDER, "id": "1", "source": "/other"}) != [(first[0], True)]


async def test_an_event_is_another_one_after_a_day_of_the_receivers_clock(timed):
    event = {**ORDER, "id": "1", "time": "2020-01-01T00:00:00Z"}
    (first,) = await published(timed, event)
    await timed.clock.advance(24 * 3600)
    assert await published(timed, event) == [(first[0], True)]
    await timed.clock.advance(1)
    (later,) = await published(timed, event)
    assert later == (later[0], False)
    assert await published(timed, event) == [(later[0], True)]


async def test_a_bad_event_refuses_the_whole_batch_and_is_named(box):
    bad = [{**ORDER, "id": "1"}, {**ORDER, "type": "nightcrew.mine"}, {**ORDER, "extensions": {"Bad": "x"}}]
    async with refused("INVALID_ARGUMENT") as said:
        await published(box, *bad)
    assert said[0].fields == ["events[1].type", "events[2].extensions['Bad']"]
    async with refused("INVALID_ARGUMENT") as said:
        await published(box)
    assert said[0].fields == ["events"]
    async with refused("INVALID_ARGUMENT") as said:
        await published(box, *[ORDER] * 1001)
    assert said[0].fields == ["events"]
    assert await listed(box, 'source = "/shop"') == []
    assert await published(box, *[ORDER] * 1000)


async def test_a_request_id_gets_its_first_answer(box):
    key = request_id()
    first = await published(box, ORDER, ORDER, request_id=key)
    assert await published(box, ORDER, ORDER, request_id=key) == first
    assert len(await listed(box, 'source = "/shop"')) == 2
    async with refused("INVALID_ARGUMENT") as said:
        await published(box, ORDER, request_id=key)
    assert said[0].reason == "request_id_reused"


async def test_nothing_is_published_while_the_runtime_drains(box):
    box.runtime.guard.close("draining")
    async with refused("UNAVAILABLE"):
        await published(box, ORDER)


async def test_lists_are_filtered_ordered_and_paged(box):
    await published(box, *({**ORDER, "id": str(n), "subject": f"s{n % 2}"} for n in range(5)))
    assert [one["id"] for one in await listed(box, 'subject = "s0" AND source = "/shop"')] == ["4", "2", "0"]
    mine = 'type = "shop.order.created"'
    page = await box.call("ListEvents", filter=mine, order_by="sequence", page_size=3)
    rest = await box.call("ListEvents", filter=mine, order_by="sequence", page_token=page.next_page_token)
    assert [one.id for one in (*page.events, *rest.events)] == list("01234")
    for fields in ({"filter": "colour = 1"}, {"order_by": "time"}, {"page_size": -1}):
        async with refused("INVALID_ARGUMENT") as said:
            await box.call("ListEvents", **fields)
        assert said[0].fields == [next(iter(fields))]


class Watcher:
    """One watch of the event log: its events and gaps in order, and the last token."""

    def __init__(self, box, **fields):
        self.items, self.token = [], ""
        self.call = box.events.WatchEvents(event_service_pb2.WatchEventsRequest(**fields))
        self.task = asyncio.create_task(self._read())

    async def _read(self):
        async for answer in self.call:
            self.items += [as_json(item) for item in answer.items]
            self.token = answer.resume_token

    @property
    def ids(self):
        return [item["event"]["id"] for item in self.items if "event" in item]

    async def has(self, count):
        await until(lambda: self.task.done() or len(self.ids) >= count, what=f"{count} events")
        return self.ids

    async def close(self):
        self.call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@contextlib.asynccontextmanager
async def watching(box, **fields):
    watcher = Watcher(box, **fields)
    try:
        await until(lambda: watcher.task.done() or watcher.token, what="the first token")
        yield watcher
    finally:
        await watcher.close()


SHOP = 'source = "/shop"'


async def test_a_watch_gives_what_its_filter_takes_from_now_on(box):
    await published(box, {**ORDER, "id": "before"})
    async with watching(box, filter=SHOP) as watcher:
        await published(box, {**ORDER, "id": "1"}, {**ORDER, "source": "/other"}, {**ORDER, "id": "2"})
        assert await watcher.has(2) == ["1", "2"]
    async with refused("INVALID_ARGUMENT") as said:
        await box.events.WatchEvents(event_service_pb2.WatchEventsRequest(filter="x >")).read()
    assert said[0].fields == ["filter"]


async def test_a_watch_begins_with_what_is_kept(box):
    await published(box, *({**ORDER, "id": str(n)} for n in range(700)))
    async with watching(box, filter=SHOP, include_snapshot=True) as watcher:
        await published(box, {**ORDER, "id": "700"})
        assert await watcher.has(701) == [str(n) for n in range(701)]


async def test_a_watch_goes_on_across_a_restart_without_loss_or_doubles(tmp_path):
    async with serving(tmp_path / "data") as box, watching(box, filter=SHOP) as watcher:
        await published(box, {**ORDER, "id": "1"})
        assert await watcher.has(1) == ["1"]
        token = watcher.token
        await published(box, {**ORDER, "id": "2"})
    async with serving(tmp_path / "data") as box:
        await published(box, {**ORDER, "id": "3"})
        async with watching(box, filter=SHOP, resume_token=token, include_snapshot=True) as watcher:
            assert await watcher.has(2) == ["2", "3"]
    async with serving(tmp_path / "other") as box:
        async with watching(box, resume_token=token) as watcher:
            assert "gap" in watcher.items[0]
        async with refused("INVALID_ARGUMENT") as said:
            request = event_service_pb2.WatchEventsRequest(resume_token="?")  # noqa: S106 - no password
            await box.events.WatchEvents(request).read()
        assert said[0].fields == ["resume_token"]


async def test_a_watch_can_be_narrowed_to_agents(box):
    await box.create("a", labels={"team": "ops"})
    await box.create("b")
    for fields in ({"ids": ["a"]}, {"selector": {"team": "ops"}}):
        async with watching(box, filter='type:"agent"', **fields) as watcher:
            await published(box, ORDER)
            await box.call("StartAgent", id="b")
            await box.call("StartAgent", id="a")
            await watcher.has(1)
            assert [item["event"]["agent_id"] for item in watcher.items if "event" in item] == ["a"]
            await box.call("StopAgent", id="a")
            await box.call("StopAgent", id="b")


async def test_a_quiet_watch_gives_signs_of_life(timed):
    async with watching(timed, filter='type = "never"') as watcher:
        before = watcher.token
        await published(timed, ORDER)
        await timed.clock.advance(15)
        await until(lambda: len(watcher.items) >= 2, what="a heartbeat")
        assert all("heartbeat" in item for item in watcher.items)
        # What the filter passed over is behind the token.
        assert watcher.token != before


@pytest.mark.parametrize("limit", [1001])
async def test_a_watch_has_bounds(box, limit):
    async with refused("INVALID_ARGUMENT") as said:
        request = event_service_pb2.WatchEventsRequest(ids=[str(n) for n in range(limit)])
        await box.events.WatchEvents(request).read()
    assert said[0].fields == ["ids"]
