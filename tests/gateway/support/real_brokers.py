"""The real brokers, as senders and as sources of a name of their own for each test."""

import contextlib
import os
import socket
import uuid
from typing import Any

import aio_pika
import nats
import pytest
import redis.asyncio
import zmqtt

PORTS = {"nats": 4222, "redis": 6379, "amqp": 5672, "mqtt": 1883}
SERVERS = {
    "nats": "NATS with JetStream",
    "redis": "Redis",
    "amqp": "RabbitMQ (guest, guest)",
    "mqtt": "an MQTT broker",
}


def need(kind):
    """Skips, saying what is needed; where CI runs, a broker that is away is a failure."""
    with socket.socket() as probe:
        probe.settimeout(2)
        if probe.connect_ex(("127.0.0.1", PORTS[kind])) == 0:
            return
    told = f"needs {SERVERS[kind]} on 127.0.0.1:{PORTS[kind]}"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


class Sender:
    """Sends to one place of one broker, and removes it at the end."""

    def __init__(self, kind, port=0):
        self.kind = kind
        self.place = f"nc-test-{uuid.uuid4().hex[:12]}"
        self.port = port or PORTS[kind]
        self.client: Any = None
        where = f"127.0.0.1:{self.port}"
        self.url = {
            "nats": f"nats://{where}/{self.place}?stream={self.place}&start=all",
            "redis": f"redis://{where}/0/{self.place}?start=all",
            "amqp": f"amqp://guest:${{secret:RABBIT}}@{where}/{self.place}",
            "mqtt": f"mqtt://{where}/{self.place}?qos=1&client_id={self.place}",
        }[self.kind]

    @contextlib.asynccontextmanager
    async def opened(self):
        async with contextlib.AsyncExitStack() as stack:
            match self.kind:
                case "nats":
                    self.client = await nats.connect("nats://127.0.0.1:4222")
                    stack.push_async_callback(self.client.close)
                case "redis":
                    self.client = redis.asyncio.Redis()
                    stack.push_async_callback(self.client.aclose)
                case "amqp":
                    self.client = await aio_pika.connect("amqp://guest:guest@127.0.0.1/")
                    stack.push_async_callback(self.client.close)
                    self.channel = await self.client.channel()
                case "mqtt":
                    self.client = await stack.enter_async_context(
                        zmqtt.create_client("127.0.0.1", version="3.1.1")
                    )
            stack.push_async_callback(self.remove)
            yield self

    async def send(self, body, *, name="", headers=None):
        """Sends bytes; `name` is the message's identity where a sender can give one."""
        match self.kind:
            case "nats":
                await self.client.jetstream().publish(self.place, body)
            case "redis":
                await self.client.xadd(self.place, {"data": body})
            case "amqp":
                message = aio_pika.Message(body, message_id=name or None, headers=headers)
                await self.channel.default_exchange.publish(message, routing_key=self.place)
            case "mqtt":
                await self.client.publish(self.place, body, qos=zmqtt.QoS.AT_LEAST_ONCE)

    async def remove(self):
        with contextlib.suppress(Exception):  # what was never made can't be removed
            match self.kind:
                case "nats":
                    await self.client.jetstream().delete_stream(self.place)
                case "redis":
                    await self.client.delete(self.place)
                case "amqp":
                    await self.channel.queue_delete(self.place)
                case "mqtt":
                    pass
