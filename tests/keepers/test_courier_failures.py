"""Outbound hooks whose receivers fail: what is tried again and when, what is given up, and what people can do."""

import itertools

import pytest
from tests.keepers.support.outside import (
    ONCE,
    SECRET,
    caught_up,
    deliveries,
    eventually,
    figures,
    in_all,
    none_left,
    so_many_dead,
    with_reason,
)
from tests.peer.receiver import Reply

from nightcrew.domain.delivery import DeliveryState
from nightcrew.domain.errors import NotFound
from nightcrew.domain.spec.outbound import SCHEDULE


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
    # Only who is to wait for nothing gets a short time: under load an answer may take longer.
    outside.write(out={"url": receiver.url(), "timeout": "0.2s" if reply.hang else "20s"})
    async with outside.box() as box:
        await box.run("work")
        (one,) = await eventually(box, lambda: deliveries(box), step=0.01)
        assert (one.attempts, one.status) == (1, status)
        assert reason in one.reason
    # One that waits for 0.2 s may have gone before a busy receiver has read it.
    assert {came.path for came in receiver.came} <= {"/"}


async def test_addresses_that_are_not_allowed_are_awith_reason(outside):
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
        await eventually(box, lambda: none_left(box))


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
        await eventually(box, lambda: none_left(box))
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
        dead = await eventually(box, lambda: so_many_dead(box, 3))
        receiver.answer = lambda _: Reply()
        before = len(receiver.came)
        assert await box.services.deliveries.retry("out", sequence=dead[0].sequence, request=ONCE) == 1
        await eventually(box, lambda: len(receiver.came) == before + 1)
        await eventually(box, lambda: in_all(box, 2))
        assert await box.services.deliveries.retry("out", sequence=0, request=ONCE) == 2
        await eventually(box, lambda: none_left(box))
        assert await box.services.deliveries.retry("out", sequence=0, request=ONCE) == 0
        for hook, sequence in (("other", 0), ("out", 999_999)):
            with pytest.raises(NotFound):
                await box.services.deliveries.retry(hook, sequence=sequence, request=ONCE)


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
        await eventually(box, lambda: with_reason(box, "the secret must be whsec_"))
        outside.monkeypatch.setenv("NIGHTCREW_SECRET_SIGN", SECRET)
        receiver.answer = lambda _: Reply(500, b"k3y-value is wrong")
        await box.services.deliveries.retry("out", sequence=one.sequence, request=ONCE)
        await eventually(box, lambda: with_reason(box, "the receiver answered 500: [secret] is wrong"))
    assert receiver.came[0].path == "/?key=k3y-value"


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
        await box.advance(10)
        own = [
            one for one in await deliveries(box, hook="out") if one.event_type == "nightcrew.delivery.failed"
        ]
        assert own == []
        others = await deliveries(box, hook="other")
        assert others
        assert {one.event_type for one in others} == {"nightcrew.delivery.failed"}
        newest = (await box.engine.store.reads.event_bounds())[1]
        await box.advance(10)
        assert (await box.engine.store.reads.event_bounds())[1] == newest, (
            "failures of failures make no events"
        )
