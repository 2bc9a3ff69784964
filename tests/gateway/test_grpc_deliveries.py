"""What goes out, over gRPC: figures, lists, another try, and each refusal."""

import pytest
from tests.gateway.support.gateway_box import refused, request_id, serving, until
from tests.peer.receiver import Receiver, Reply

from nightcrew.ports.outbound import OutboundRefused

HOOK = """
allow_private = ["127.0.0.1"]

[[outbound]]
name = "ops"
url = "{url}"
types = ["shop.*"]
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
max_attempts = 1
"""


@pytest.fixture
async def failing(tmp_path, monkeypatch):
    """A runtime whose hook `ops` has given three events up, and the receiver that refused them."""
    monkeypatch.chdir(tmp_path)
    with Receiver(lambda _: Reply(500, b"out of order")) as receiver:
        (tmp_path / "nightcrew.toml").write_text(HOOK.format(url=receiver.url()))
        async with serving(tmp_path / "data") as box:
            box.receiver = receiver
            events = [{"type": "shop.order.created", "source": "/shop", "id": str(n)} for n in range(3)]
            box.sequences = [one.sequence for one in (await box.call("PublishEvents", events=events)).results]
            await until(lambda: _dead(box, 3))
            yield box


async def _dead(box, count):
    (hook,) = (await box.call("GetRuntime")).runtime.outbound
    return hook.dead == count


async def listed(box, text="", **fields):
    return (await box.call("ListDeliveries", filter=text, **fields)).deliveries


async def test_what_was_given_up_is_listed(failing):
    found = await listed(failing, order_by="sequence")
    assert [one.sequence for one in found] == failing.sequences
    one = found[0]
    assert (one.hook, one.event_type, one.attempts, one.status) == ("ops", "shop.order.created", 1, 500)
    assert (one.state, one.reason) == (one.STATE_DEAD, "the receiver answered 500: out of order")
    assert one.HasField("last_attempt_time")
    assert not one.HasField("next_attempt_time")
    assert len(await listed(failing, 'hook = "ops" AND state = "STATE_DEAD" AND attempts < 2')) == 3
    assert await listed(failing, 'state = "STATE_RETRYING"') == []
    page = await failing.call("ListDeliveries", page_size=2)
    assert len(page.deliveries) == 2
    assert len(await listed(failing, page_size=2, page_token=page.next_page_token)) == 1


async def test_another_try_happens_once_a_request_id(failing):
    failing.receiver.answer = lambda _: Reply()
    before = len(failing.receiver.came)
    same = request_id()
    for _ in range(2):
        answer = await failing.call(
            "RetryDelivery", hook="ops", sequence=failing.sequences[0], request_id=same
        )
        assert answer.retried == 1
    await until(lambda: _dead(failing, 2))
    assert (await failing.call("RetryDelivery", hook="ops")).retried == 2
    await until(lambda: _dead(failing, 0))
    await until(lambda: len(failing.receiver.came) == before + 3)
    await until(lambda: _nothing(failing))


async def _nothing(box):
    return not await listed(box)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1"])
async def test_the_way_out_does_not_lead_back_in(failing, host):
    runtime = failing.runtime
    assert await runtime.addresses.checked("127.0.0.1", 9)
    with pytest.raises(OutboundRefused, match="own ports"):
        await runtime.addresses.checked(host, runtime.gateway.port)


async def test_refusals(failing):
    async with refused("NOT_FOUND") as found:
        await failing.call("RetryDelivery", hook="nobody")
    assert found[0].details["ResourceInfo"].resource_name == "nobody"
    async with refused("NOT_FOUND") as found:
        await failing.call("RetryDelivery", hook="ops", sequence=999_999)
    assert found[0].details["ResourceInfo"].resource_name == "ops/999999"
    for fields, field in (
        ({}, "hook"),
        ({"hook": "ops", "sequence": -1}, "sequence"),
        ({"hook": "ops", "request_id": "x"}, "request_id"),
    ):
        async with refused("INVALID_ARGUMENT") as found:
            await failing.call("RetryDelivery", **fields)
        assert found[0].fields == [field]
    for wrong, field in (
        ({"page_size": -1}, "page_size"),
        ({"order_by": "reason"}, "order_by"),
        ({"text": "colour = 1"}, "filter"),
    ):
        async with refused("INVALID_ARGUMENT") as found:
            await listed(failing, **wrong)
        assert found[0].fields == [field]
