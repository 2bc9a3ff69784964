"""Messages of real brokers become executions: each once, over redelivery, faults of the store and brokers that go."""

import asyncio
import json
from collections import Counter

import pytest
from faststream.redis import RedisBroker
from tests.gateway.support.gateway_box import refused, serving, until
from tests.gateway.support.real_brokers import PORTS, Sender, need

from nightcrew.domain.broker.url import broker_url
from nightcrew.gateway.grpc.convert.values import value_of
from nightcrew.v1 import execution_pb2

pytestmark = pytest.mark.brokers


async def taking(box, agent_id, sender, **spec):
    trigger = {"id": "event", "event": {"source_url": sender.url}}
    await box.active(agent_id, triggers=[trigger], execution={"max_concurrency": 0}, **spec)


def source(box, sender):
    """The component of a sender's source, or None."""
    return next((one for one in box.runtime.components() if sender.place in one.id), None)


async def taken(box, sender):
    """Waits until the source takes messages."""

    def serves():
        one = source(box, sender)
        return one is not None and one.state == "RUNNING"

    await until(serves, what=f"a source of {sender.url}")


async def received(box, agent_id):
    """What the agent's executions were given, counted."""
    found = (await box.call("ListExecutions", filter=f'agent_id = "{agent_id}"', page_size=1000)).executions
    return Counter(int(one.input["event"]["data"]["n"]) for one in found)


async def receives(box, agent_id, expected):
    async def all_there():
        return (await received(box, agent_id)).keys() >= set(expected)

    await until(all_there, what=f"{len(expected)} messages at {agent_id}")
    assert await received(box, agent_id) == Counter(expected)


def body(number):
    return json.dumps({"n": number}).encode()


async def test_every_message_is_one_execution_of_each_agent_that_takes_it(box, sender):
    await taking(box, "one", sender)
    await taking(box, "two", sender)
    await taken(box, sender)
    assert len([one for one in box.runtime.components() if sender.place in one.id]) == 1, (
        "one source for both"
    )
    for number in range(30):
        await sender.send(body(number), name=f"m{number}")
    await receives(box, "one", range(30))
    await receives(box, "two", range(30))
    events = (await box.call("ListEvents", filter=f'type = "{sender.kind}.message"')).events
    public = broker_url(sender.url).public
    assert (
        {event.source for event in events} == {event.extensions["brokerurl"] for event in events} == {public}
    )
    assert "guest" not in str(events)


async def test_what_comes_while_the_runtime_is_away_is_taken_later(tmp_path, sender):
    async with serving(tmp_path / "data") as box:
        await taking(box, "a", sender)
        await taken(box, sender)
        await sender.send(body(1), name="m1")
        await receives(box, "a", [1])
    await sender.send(body(2), name="m2")
    async with serving(tmp_path / "data") as box:
        await receives(box, "a", [1, 2])


async def test_an_agent_that_stops_has_no_source(box, sender):
    await taking(box, "a", sender)
    await taken(box, sender)
    await box.call("StopAgent", id="a")
    await until(lambda: source(box, sender) is None, what="no source")
    await box.call("StartAgent", id="a")
    await taken(box, sender)
    await box.call("PauseAgent", id="a")
    await sender.send(body(1), name="m1")

    async def queued():
        return (await box.agent("a")).status.queued_count == 1

    await until(queued, what="a message in the backlog of a paused agent")


async def test_a_stream_that_is_made_again_counts_anew(box):
    need("nats")
    async with Sender("nats").opened() as sender:
        await taking(box, "a", sender)
        await taken(box, sender)
        await sender.send(body(1))
        await receives(box, "a", [1])
        await sender.client.jetstream().delete_stream(sender.place)
        await until(lambda: source(box, sender).restarts > 0, what="a source that begins anew")
        await taken(box, sender)
        await sender.send(body(2))
        await receives(box, "a", [1, 2])


async def test_a_message_that_comes_twice_runs_once(box):
    need("amqp")
    async with Sender("amqp").opened() as sender:
        await taking(box, "a", sender)
        await taken(box, sender)
        for _ in range(3):
            await sender.send(body(1), name="the same")
        await sender.send(body(2), name="another")
        await receives(box, "a", [1, 2])


async def test_what_is_no_event_is_left_out_and_does_not_come_again(box, sender):
    await taking(box, "a", sender)
    await taken(box, sender)
    await sender.send(b'{"n": 1', name="text")  # no JSON: it is text
    if sender.kind != "nats":  # NATS itself takes no more than 1 MiB
        await sender.send(b"x" * (1024 * 1024 + 1), name="large")
    await sender.send(body(2), name="m2")

    async def both():
        found = (await box.call("ListExecutions", filter='agent_id = "a"')).executions
        return len(found) == 2

    await until(both, what="the two that are events")
    if sender.kind != "nats":
        (told,) = (await box.call("ListEvents", filter='type = "nightcrew.source.refused"')).events
        assert told.source == broker_url(sender.url).public
        assert "1048577 bytes" in told.data.struct_value["why"]


async def test_what_is_no_event_goes_to_its_queues_dead_letters(box):
    need("amqp")
    async with Sender("amqp").opened() as sender:
        dead = f"{sender.place}-dead"
        await sender.channel.declare_queue(dead)
        arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead, "x-max-length": 1000}
        await sender.channel.declare_queue(sender.place, durable=True, arguments=arguments)
        await taking(box, "a", sender)
        await taken(box, sender)
        headers = {"cloudEvents:specversion": "1.0", "cloudEvents:id": "7", "cloudEvents:source": "/s"}
        await sender.send(body(1), headers={**headers, "cloudEvents:type": "nightcrew.agent.deleted"})
        queue = await sender.channel.get_queue(dead)

        async def there():
            return await queue.get(fail=False, no_ack=True) is not None

        await until(there, what="the message among the dead letters")
        await sender.send(body(2), headers={**headers, "cloudEvents:type": "shop.order"})
        await receives(box, "a", [2])
        await sender.channel.queue_delete(dead)


@pytest.mark.parametrize("kind", ["redis", "amqp"])
async def test_what_is_made_anew_has_other_messages(box, kind):
    need(kind)
    async with Sender(kind).opened() as sender:
        await taking(box, "a", sender)
        await taken(box, sender)
        await sender.send(body(1), name="m1")
        await receives(box, "a", [1])
        await sender.remove()
        await until(lambda: source(box, sender).restarts > 0, what="a source that begins anew")
        await taken(box, sender)
        await sender.send(body(2), name="m2")
        await receives(box, "a", [1, 2])


async def test_bodies_of_redis_are_bytes_and_faststreams_are_read(box):
    need("redis")
    async with Sender("redis").opened() as sender:
        await taking(box, "a", sender)
        await taken(box, sender)
        await sender.client.xadd(sender.place, {"data": b"\xff\x00"})
        async with RedisBroker("redis://127.0.0.1", logger=None) as publisher:
            await publisher.publish({"n": 5}, stream=sender.place)
        await sender.client.xadd(sender.place, {"n": "6", "who": "me"})

        async def datas():
            events = (await box.call("ListEvents", filter='type = "redis.message"')).events
            return sorted(json.dumps(value_of(event.data, "data"), sort_keys=True) for event in events)

        async def three():
            return len(await datas()) == 3

        await until(three, what="three events")
        assert await datas() == ['"/wA="', '{"n": "6", "who": "me"}', '{"n": 5}']


async def test_credentials_that_are_written_anew_are_used(box, monkeypatch):
    need("amqp")
    monkeypatch.setenv("NIGHTCREW_SECRET_WRONG", "hunter2")
    async with Sender("amqp").opened() as sender:
        right = sender.url
        sender.url = right.replace("RABBIT", "WRONG")
        await taking(box, "a", sender)
        await until(lambda: (one := source(box, sender)) and one.last_error, what="a refused password")
        assert "hunter2" not in source(box, sender).last_error
        triggers = [{"id": "event", "event": {"source_url": right}}]
        await box.call(
            "UpdateAgent", agent={"id": "a", "spec": {"triggers": triggers}}, update_mask="spec.triggers"
        )
        await taken(box, sender)


@pytest.mark.parametrize("kind", ["nats", "amqp"])
async def test_a_connection_that_must_be_private_is_never_in_the_clear(box, kind):
    need(kind)
    async with Sender(kind).opened() as sender:
        scheme = {"nats": "nats+tls", "amqp": "amqps"}[kind]
        sender.url = sender.url.replace(f"{kind}://", f"{scheme}://")
        await taking(box, "a", sender)
        await until(lambda: (one := source(box, sender)) and one.last_error, what="no connection")
        assert source(box, sender).state == "BACKING_OFF"


async def test_a_broker_that_goes_is_shown_and_come_back_to(box, away):
    sender, proxy = away
    await taking(box, "a", sender)
    await taken(box, sender)
    await sender.send(body(1), name="m1")
    await receives(box, "a", [1])
    connections = proxy.connections
    await proxy.down()
    await until(lambda: source(box, sender).state == "BACKING_OFF", what="an unhealthy component")
    assert source(box, sender).last_error
    await sender.send(body(2), name="m2")
    assert await received(box, "a") == Counter([1])
    assert (await box.trigger("a", wait="5s")).state == execution_pb2.Execution.STATE_SUCCEEDED, (
        "all else goes on"
    )
    await proxy.up()
    await taken(box, sender)

    async def second():
        found = (
            await box.call("ListExecutions", filter='agent_id = "a" AND trigger.kind = "KIND_EVENT"')
        ).executions
        return len(found) == 2

    await until(second, what="what was sent meanwhile")
    await until(lambda: proxy.connections == connections, what="no connection but the new one")


async def test_a_broker_that_is_away_at_first_holds_nothing_up(box):
    lost = Sender("nats", port=1)
    await taking(box, "a", lost)
    await until(lambda: (one := source(box, lost)) and one.last_error, what="an unhealthy component")
    assert (await box.trigger("a", wait="5s")).state == execution_pb2.Execution.STATE_SUCCEEDED
    await box.call("UpdateAgent", agent={"id": "a", "spec": {"triggers": []}}, update_mask="spec.triggers")
    await until(lambda: source(box, lost) is None, what="no source")


@pytest.mark.parametrize(
    ("url", "code", "why"),
    [
        ("http://127.0.0.1/x", "", "must be a broker's URL"),
        ("nats://127.0.0.1/", "", "subject"),
        ("amqp://guest:guest@127.0.0.1/q", "", "in the clear"),
        ("redis://10.0.0.1/0/orders", "address_refused", "private"),
        ("redis://169.254.169.254/0/orders", "address_refused", ""),
    ],
)
async def test_a_wrong_source_is_named(box, url, code, why):
    trigger = {"id": "event", "event": {"source_url": url}}
    async with refused("INVALID_ARGUMENT") as found:
        await box.create("a", triggers=[trigger])
    (field,) = found[0].fields
    assert field == "agent.spec.triggers[0].event.source_url"
    assert why in found[0].message
    assert "guest:guest" not in found[0].message
    if code:
        assert found[0].reason == code


async def test_a_client_that_is_not_installed_is_named(box, monkeypatch):
    monkeypatch.setattr(box.runtime.guard, "_speaks", lambda _kind: False)
    trigger = {"id": "event", "event": {"source_url": "nats://127.0.0.1/orders"}}
    async with refused("INVALID_ARGUMENT") as found:
        await box.create("a", triggers=[trigger])
    assert found[0].reason == "not_installed"
    assert "pip install 'nightcrew[brokers]'" in found[0].message


async def test_messages_wait_while_the_store_fails(box, sender, monkeypatch):
    from nightcrew.domain.errors import StoreError

    await taking(box, "a", sender)
    await taken(box, sender)
    writing = box.runtime.store.write
    failed = asyncio.Event()

    async def failing(unit):
        if "EventService" in getattr(unit, "__qualname__", "") or failed.is_set():
            return await writing(unit)
        failed.set()
        raise StoreError("the disk is full")

    monkeypatch.setattr(box.runtime.store, "write", failing)
    await sender.send(body(1), name="m1")
    await asyncio.wait_for(failed.wait(), 10)
    await receives(box, "a", [1])


def test_every_broker_is_there_where_ci_runs():
    for kind in PORTS:
        need(kind)
