"""Outbound hooks against a real receiver: what arrives, from when on, and who is not held up."""

from datetime import timedelta

from cloudevents.core.bindings.http import HTTPMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook
from tests.keepers.support.outside import SECRET, caught_up, deliveries, eventually
from tests.peer.receiver import Receiver, Reply

from nightcrew.domain.durations import from_micros


async def test_an_outcome_arrives_signed_as_a_cloudevent(outside, receiver):
    outside.write(out={"url": receiver.url("/in"), "headers": {"X-Team": "ops"}})
    async with outside.box() as box:
        row = await box.run("work")
        await eventually(box, lambda: receiver.came)
        incarnation = box.engine.store.incarnation
        sent = box.clock.now()
        await caught_up(box)
        assert await deliveries(box) == []
    (came,) = receiver.came
    assert (came.method, came.path, came.headers["x-team"]) == ("POST", "/in", "ops")
    assert came.headers["content-type"] == "application/cloudevents+json"
    event = from_structured(HTTPMessage(came.headers, came.body), JSONFormat())
    assert (event.get_type(), event.get_source()) == ("nightcrew.execution.succeeded", "/agents/work")
    assert event.get_subject() == event.get_extension("executionid") == row.id
    assert event.get_data() == {"state": "STATE_SUCCEEDED", "attempt": 1, "result": "done"}
    sequence = event.get_extension("sequence")
    assert came.headers["webhook-id"] == f"evt_{incarnation}_{sequence}"
    moment = from_micros(int(came.headers["webhook-timestamp"]) * 1_000_000)
    assert timedelta(0) <= sent - moment < timedelta(seconds=5)
    right = Webhook(SECRET).sign(came.headers["webhook-id"], moment, came.body.decode())
    assert came.headers["webhook-signature"] == right


async def test_binary_mode(outside, receiver):
    outside.write(out={"url": receiver.url(), "mode": "binary"})
    async with outside.box() as box:
        await box.run("work")
        await eventually(box, lambda: receiver.came)
    (came,) = receiver.came
    event = from_binary(HTTPMessage(came.headers, came.body), JSONFormat())
    assert (event.get_type(), dict(event.get_data())["result"]) == ("nightcrew.execution.succeeded", "done")
    assert came.headers["content-type"] == "application/json"


async def test_only_the_types_that_it_wants_and_nothing_from_before_it_was(outside, receiver):
    outside.write()
    async with outside.box() as box:
        await box.run("work")
    outside.write(
        out={"url": receiver.url("/all"), "types": ["nightcrew.execution.*", "nightcrew.agent.paused"]},
        failures={"url": receiver.url("/failures"), "types": ["nightcrew.execution.failed"]},
    )
    async with outside.box() as box:
        await box.run("work", {"fail": True})
        await caught_up(box)
        await caught_up(box, "failures")
    types = sorted(
        (came.path, came.json["type"].removeprefix("nightcrew.execution.")) for came in receiver.came
    )
    assert types == [("/all", "failed"), ("/all", "queued"), ("/all", "started"), ("/failures", "failed")]


async def test_a_filter_chooses_and_one_that_can_not_be_told_chooses_nothing(outside, receiver):
    outside.write(
        out={
            "url": receiver.url("/out"),
            "filter": 'event.data.result == "done"',
            "types": ["nightcrew.execution.*"],
        },
    )
    async with outside.box() as box:
        await box.run("work", {"fail": True})
        await box.run("work")
        await caught_up(box)
    assert [came.json["type"] for came in receiver.came] == ["nightcrew.execution.succeeded"]


async def test_a_receiver_that_hangs_holds_up_no_other(outside, receiver):
    with Receiver(lambda _: Reply(hang=True)) as slow:
        outside.write(slow={"url": slow.url(), "timeout": "30s"}, out={"url": receiver.url()})
        async with outside.box() as box:
            for _ in range(20):
                await box.run("work")
            await eventually(box, lambda: len(receiver.came) == 20)
            assert len(slow.came) <= 8
            assert await deliveries(box) == []


async def test_what_was_not_confirmed_is_sent_again_after_a_restart(outside, receiver):
    receiver.answer = lambda _: Reply(hang=True)
    outside.write(out={"url": receiver.url()})
    async with outside.box() as box:
        for _ in range(3):
            await box.run("work")
        await eventually(box, lambda: len(receiver.came) >= 1)
    receiver.answer = lambda _: Reply()
    first = len(receiver.came)
    async with outside.box() as box:
        await eventually(box, lambda: len(receiver.came) - first >= 3)
        await caught_up(box)
    ids = [came.headers["webhook-id"] for came in receiver.came]
    assert len(set(ids)) == 3
    assert set(ids[first:]) == set(ids)


async def test_the_tree_shows_a_courier_for_each_hook(outside, receiver):
    outside.write(out={"url": receiver.url()}, other={"url": receiver.url()})
    async with outside.box() as box:
        names = {one.id for one in box.engine.components()}
        assert {"nightcrew/keepers/outbound/out", "nightcrew/keepers/outbound/other"} <= names
    outside.write()
    async with outside.box() as box:
        assert not any("outbound" in one.id for one in box.engine.components())
