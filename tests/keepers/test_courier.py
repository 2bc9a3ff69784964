"""Outbound hooks against a real receiver: what arrives, what is tried again and when, and who is not held up."""

import asyncio
import itertools
import json
import time
from datetime import timedelta

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook
from tests.peer.receiver import Receiver, Reply

from nightcrew.agent import agent
from nightcrew.domain.delivery import DeliveryState
from nightcrew.domain.durations import from_micros
from nightcrew.domain.errors import NotFound
from nightcrew.domain.page import ListQuery
from nightcrew.domain.spec.outbound import SCHEDULE
from nightcrew.services.once import Request
from nightcrew.testing.box import Box
from nightcrew.testing.clock import ManualClock

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - an example
ONCE = Request(method="test")


@agent
async def work(fail: bool = False) -> str:
    if fail:
        raise ValueError("no")
    return "done"


class Outside:
    """Hooks in a nightcrew.toml, a runtime that reads it, and the receivers that it sends to."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.clock = ManualClock()
        self.monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        monkeypatch.setenv("NIGHTCREW_ALLOW_PRIVATE", "127.0.0.1")

    def write(self, **hooks):
        """Writes the file: name → {url, …}."""
        tables = []
        for name, hook in hooks.items():
            values = {"name": name, "types": ["nightcrew.execution.succeeded"], "secret": SECRET, **hook}
            lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
            tables.append("[[outbound]]\n" + "\n".join(lines))
        (self.folder / "nightcrew.toml").write_text("\n".join(tables))

    def box(self):
        return Box(work, folder=self.folder / "data", clock=self.clock)


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    return Outside(tmp_path, monkeypatch)


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


async def eventually(box, condition, *, step=0.06):
    """Lets real time pass for what goes out, and as little virtual time as it needs to get there."""
    deadline = time.monotonic() + 15
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"waited in vain; {await deliveries(box)}"
        await box.advance(step)
        await asyncio.sleep(0.002)


async def deliveries(box, **where):
    page = await box.services.deliveries.page(ListQuery(page_size=1000))
    return [one for one in page.items if all(getattr(one, key) == value for key, value in where.items())]


async def figures(box, name="out"):
    return next(one for one in await box.services.deliveries.figures() if one.name == name)


async def caught_up(box, name="out"):
    await box.advance(6)
    await eventually(box, lambda: _no_lag(box, name))


async def _no_lag(box, name):
    return (await figures(box, name)).lag == 0


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


async def test_a_receiver_that_fails_is_tried_again_on_the_schedule_then_given_up_and_told(outside, receiver):
    receiver.answer = lambda came: Reply(500, b"out of order") if came.path == "/bad" else Reply()
    outside.write(
        out={"url": receiver.url("/bad")},
        log={"url": receiver.url("/log"), "types": ["nightcrew.delivery.*"]},
    )
    async with outside.box() as box:
        await box.run("work")
        for count, wait in enumerate(SCHEDULE, start=1):
            (one,) = await eventually(box, lambda count=count: deliveries(box, attempts=count), step=0.01)
            assert (one.state, one.status) == (DeliveryState.RETRYING, 500)
            assert one.reason == "the receiver answered 500: out of order"
            assert wait <= one.next_attempt_time - one.last_attempt_time <= wait * 1.2
            before = len(receiver.came)
            await box.clock.advance((one.next_attempt_time - box.clock.now()).total_seconds() - 1)
            await box.settle()
            assert len(receiver.came) == before
            await box.advance(1.1)
        (one,) = await eventually(box, lambda: deliveries(box, state=DeliveryState.DEAD))
        assert (one.attempts, one.next_attempt_time) == (10, None)
        await eventually(box, lambda: [came for came in receiver.came if came.path == "/log"])
        assert (await figures(box)).dead == 1
    tries = [came for came in receiver.came if came.path == "/bad"]
    assert len(tries) == 10
    assert len({came.headers["webhook-id"] for came in tries}) == 1
    assert len({came.headers["webhook-timestamp"] for came in tries}) == 10
    (told,) = [came.json for came in receiver.came if came.path == "/log"]
    assert (told["type"], told["source"], told["subject"]) == (
        "nightcrew.delivery.failed",
        "/outbound/out",
        "out",
    )
    assert told["data"]["reason"] == "the receiver answered 500: out of order"
    assert told["data"]["attempts"] == 10


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        (Reply(404, b"what?"), 404, "the receiver answered 404: what?"),
        (Reply(302, headers={"location": "/other"}), 302, "a redirect, which is not followed"),
        (Reply(broken=True), 0, "broke"),
        (Reply(hang=True), 0, "no answer within 0.2 s"),
        (Reply(body=b"x" * 100_000), 0, "over 65536 bytes"),
    ],
)
async def test_what_is_no_success(outside, receiver, reply, status, reason):
    receiver.answer = lambda _: reply
    outside.write(out={"url": receiver.url(), "timeout": "0.2s"})
    async with outside.box() as box:
        await box.run("work")
        (one,) = await eventually(box, lambda: deliveries(box), step=0.01)
        assert (one.attempts, one.status) == (1, status)
        assert reason in one.reason
    assert {came.path for came in receiver.came} == {"/"}


async def test_addresses_that_are_not_allowed_are_a_reason(outside):
    outside.monkeypatch.setenv("NIGHTCREW_ALLOW_PRIVATE", "false")
    outside.write(out={"url": "http://127.0.0.1:9/"})
    async with outside.box() as box:
        await box.run("work")
        (one,) = await eventually(box, lambda: deliveries(box))
        assert "this machine (loopback)" in one.reason


async def test_retry_after_lets_the_receiver_rest(outside, receiver):
    replies = itertools.chain([Reply(429, headers={"retry-after": "100"})], itertools.repeat(Reply()))
    receiver.answer = lambda _: next(replies)
    outside.write(out={"url": receiver.url()})
    async with outside.box() as box:
        await box.run("work")
        (one,) = await eventually(box, lambda: deliveries(box), step=0.01)
        assert (one.next_attempt_time - one.last_attempt_time).total_seconds() == 100
        await box.run("work")
        await box.advance(90)
        assert len(receiver.came) == 1, "what came meanwhile waits, too"
        await box.advance(15)
        await eventually(box, lambda: len(receiver.came) == 3)
        await eventually(box, lambda: _none(box))


async def _none(box):
    return not await deliveries(box)


async def test_gone_disables_it_until_people_or_another_url_say_otherwise(outside, receiver):
    receiver.answer = lambda _: Reply(410)
    outside.write(out={"url": receiver.url("/old")})
    async with outside.box() as box:
        await box.run("work")
        (one,) = await eventually(box, lambda: deliveries(box, state=DeliveryState.DEAD))
        assert (one.attempts, one.status) == (1, 410)
        assert "gone for ever" in (await figures(box)).disabled
        await box.run("work")
        await box.advance(100)
        assert len(receiver.came) == 1
    async with outside.box() as box:
        await box.advance(100)
        assert len(receiver.came) == 1, "it stays so after a restart"
        receiver.answer = lambda _: Reply()
        assert await box.services.deliveries.retry("out", sequence=0, request=ONCE) == 1
        await eventually(box, lambda: len(receiver.came) == 3)
        await eventually(box, lambda: _none(box))
        assert (await figures(box)).disabled == ""
        receiver.answer = lambda _: Reply(410)
        await box.run("work")
        await eventually(box, lambda: deliveries(box, state=DeliveryState.DEAD))
    receiver.answer = lambda _: Reply()
    outside.write(out={"url": receiver.url("/new")})
    async with outside.box() as box:
        assert (await figures(box)).disabled == ""
        await box.run("work")
        await eventually(box, lambda: receiver.came[-1].path == "/new")


async def test_redelivering_by_hand(outside, receiver):
    receiver.answer = lambda _: Reply(500)
    outside.write(out={"url": receiver.url(), "max_attempts": 1})
    async with outside.box() as box:
        for _ in range(3):
            await box.run("work")
        dead = await eventually(box, lambda: _so_many(box, 3))
        receiver.answer = lambda _: Reply()
        before = len(receiver.came)
        assert await box.services.deliveries.retry("out", sequence=dead[0].sequence, request=ONCE) == 1
        await eventually(box, lambda: len(receiver.came) == before + 1)
        await eventually(box, lambda: _in_all(box, 2))
        assert await box.services.deliveries.retry("out", sequence=0, request=ONCE) == 2
        await eventually(box, lambda: _none(box))
        assert await box.services.deliveries.retry("out", sequence=0, request=ONCE) == 0
        for hook, sequence in (("other", 0), ("out", 999_999)):
            with pytest.raises(NotFound):
                await box.services.deliveries.retry(hook, sequence=sequence, request=ONCE)


async def _in_all(box, count):
    return len(await deliveries(box)) == count


async def _so_many(box, count):
    found = await deliveries(box, state=DeliveryState.DEAD)
    return found if len(found) == count else None


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


async def test_a_secret_by_name_and_one_that_is_not_there(outside, receiver):
    outside.write(out={"url": receiver.url("/?key=${secret:API_KEY}"), "secret": "${secret:SIGN}"})
    async with outside.box() as box:
        await box.run("work")
        (one,) = await eventually(box, lambda: deliveries(box))
        assert "there is no secret 'SIGN'" in one.reason
        assert receiver.came == []
        outside.monkeypatch.setenv("NIGHTCREW_SECRET_SIGN", "not-a-key")
        outside.monkeypatch.setenv("NIGHTCREW_SECRET_API_KEY", "k3y-value")
        await box.services.deliveries.retry("out", sequence=one.sequence, request=ONCE)
        (one,) = await eventually(box, lambda: deliveries(box, attempts=1))
        await eventually(box, lambda: _reason(box, "the secret must be whsec_"))
        outside.monkeypatch.setenv("NIGHTCREW_SECRET_SIGN", SECRET)
        receiver.answer = lambda _: Reply(500, b"k3y-value is wrong")
        await box.services.deliveries.retry("out", sequence=one.sequence, request=ONCE)
        await eventually(box, lambda: _reason(box, "the receiver answered 500: [secret] is wrong"))
    assert receiver.came[0].path == "/?key=k3y-value"


async def _reason(box, text):
    return [one for one in await deliveries(box) if text in one.reason]


async def test_its_own_failures_are_not_its_own_to_tell(outside, receiver):
    receiver.answer = lambda _: Reply(500)
    outside.write(
        out={"url": receiver.url("/out"), "types": ["nightcrew.*"], "max_attempts": 1},
        other={"url": receiver.url("/other"), "types": ["nightcrew.delivery.*"], "max_attempts": 1},
    )
    async with outside.box() as box:
        await box.run("work")
        await caught_up(box)
        await caught_up(box, "other")
        await box.advance(60)
        own = [
            one for one in await deliveries(box, hook="out") if one.event_type == "nightcrew.delivery.failed"
        ]
        assert own == []
        others = await deliveries(box, hook="other")
        assert others
        assert {one.event_type for one in others} == {"nightcrew.delivery.failed"}
        newest = (await box.engine.store.reads.event_bounds())[1]
        await box.advance(60)
        assert (await box.engine.store.reads.event_bounds())[1] == newest, (
            "failures of failures make no events"
        )


async def test_the_tree_shows_a_courier_for_each_hook(outside, receiver):
    outside.write(out={"url": receiver.url()}, other={"url": receiver.url()})
    async with outside.box() as box:
        names = {one.id for one in box.engine.components()}
        assert {"nightcrew/keepers/outbound/out", "nightcrew/keepers/outbound/other"} <= names
    outside.write()
    async with outside.box() as box:
        assert not any("outbound" in one.id for one in box.engine.components())
