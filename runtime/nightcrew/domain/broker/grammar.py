"""What each kind of broker's URL may hold: its schemes, its path and its options, as one table."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

Check = Callable[[str], str]
"""What is wrong with a text; empty if nothing is."""


class BrokerKind(StrEnum):
    """The brokers that events can be taken from."""

    NATS = "nats"
    REDIS = "redis"
    AMQP = "amqp"
    MQTT = "mqtt"
    KAFKA = "kafka"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """The URL of one kind of broker.

    Attributes:
        kind: The kind, which is also its scheme.
        tls: The scheme of connections over TLS.
        port: The port where none is written, and the same over TLS.
        tls_port: The port of the scheme `tls` where none is written.
        form: What a right URL looks like, for errors.
        place: What is wrong with the path's parts.
        whole_path: Whether the path is one name, slashes included.
        options: What may stand behind `?`.
        token: Whether a user without a password is a token, and so a secret.
    """

    kind: BrokerKind
    tls: str
    port: int
    tls_port: int
    form: str
    place: Callable[[tuple[str, ...]], str]
    whole_path: bool = False
    options: Mapping[str, Check] = field(default_factory=dict)
    token: bool = False


_MAX_TOPIC: Final = 249
_SUBJECT: Final = re.compile(r"(?:[^\s.*>]+|\*)(?:\.(?:[^\s.*>]+|\*))*(?:\.>)?|>")
_KAFKA_TOPIC: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{_MAX_TOPIC}}}")
_DURABLE: Final = re.compile(r"[^\s.*>/\\]{1,128}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,255}")


def _matching(pattern: re.Pattern[str], what: str) -> Check:
    return lambda text: "" if pattern.fullmatch(text) else f"must be {what}"


def _one_of(*choices: str) -> Check:
    return lambda text: "" if text in choices else f"must be {' or '.join(choices)}"


_NAMED: Final = _matching(_NAME, "a name of 1 to 255 characters")
_STREAM: Final = _matching(_DURABLE, "a name of 1 to 128 characters without '.', '*', '>', '/' and spaces")
_START: Final = _one_of("new", "all")
_DEDUPE: Final = _one_of("id", "body")


def _nats(parts: tuple[str, ...]) -> str:
    if len(parts) == 1 and _SUBJECT.fullmatch(parts[0]):
        return ""
    return "must name one subject, such as shop.orders or shop.>"


def _redis(parts: tuple[str, ...]) -> str:
    if len(parts) == 2 and parts[0].isdecimal() and _NAME.fullmatch(parts[1]):  # noqa: PLR2004 - database and stream
        return ""
    return "must name the database's number and the stream, such as /0/orders"


def _amqp(parts: tuple[str, ...]) -> str:
    if len(parts) in {1, 2} and _NAME.fullmatch(parts[-1]) and all(parts):
        return ""
    return "must name the queue, or the virtual host and the queue (%2F is the virtual host /)"


def _mqtt(parts: tuple[str, ...]) -> str:
    levels = parts[0].split("/")
    for index, level in enumerate(levels):
        if ("#" in level and (level != "#" or index < len(levels) - 1)) or ("+" in level and level != "+"):
            return "must be a topic filter: + stands for a whole level, # for all that follow, at the end"
    return "" if _NAME.fullmatch(parts[0]) else "must be a topic, such as /plant/+/temperature"


def _kafka(parts: tuple[str, ...]) -> str:
    if len(parts) == 1 and _KAFKA_TOPIC.fullmatch(parts[0]):
        return ""
    return "must name one topic of letters, digits, '.', '_' and '-'"


GRAMMARS: Final[Mapping[BrokerKind, Grammar]] = {
    one.kind: one
    for one in (
        Grammar(
            kind=BrokerKind.NATS,
            tls="nats+tls",
            port=4222,
            tls_port=4222,
            form="nats://host:4222/subject?stream=…&durable=…&start=new|all",
            place=_nats,
            options={"stream": _STREAM, "durable": _STREAM, "start": _START},
            token=True,
        ),
        Grammar(
            kind=BrokerKind.REDIS,
            tls="rediss",
            port=6379,
            tls_port=6379,
            form="redis://host:6379/0/stream?group=…&consumer=…&start=new|all",
            place=_redis,
            options={"group": _NAMED, "consumer": _NAMED, "start": _START},
        ),
        Grammar(
            kind=BrokerKind.AMQP,
            tls="amqps",
            port=5672,
            tls_port=5671,
            form="amqp://user:${secret:NAME}@host:5672/vhost/queue?exchange=…&routing_key=…&dedupe=id|body",
            place=_amqp,
            options={"exchange": _NAMED, "routing_key": _NAMED, "dedupe": _DEDUPE},
        ),
        Grammar(
            kind=BrokerKind.MQTT,
            tls="mqtts",
            port=1883,
            tls_port=8883,
            form="mqtt://host:1883/topic?qos=0|1|2&client_id=…&dedupe=id|body",
            place=_mqtt,
            whole_path=True,
            options={"qos": _one_of("0", "1", "2"), "client_id": _NAMED, "dedupe": _DEDUPE},
        ),
        Grammar(
            kind=BrokerKind.KAFKA,
            tls="kafka+tls",
            port=9092,
            tls_port=9093,
            form="kafka://host:9092/topic?group=…&start=new|all",
            place=_kafka,
            options={"group": _NAMED, "start": _START},
        ),
    )
}

SCHEMES: Final[Mapping[str, tuple[Grammar, bool]]] = {
    scheme: (one, tls)
    for one in GRAMMARS.values()
    for scheme, tls in ((one.kind.value, False), (one.tls, True))
}
"""The grammar of a scheme, and whether it is the one over TLS."""
