"""Inputs as arguments: every signature of the contract, and what does not fit."""
# ruff: noqa: A002, A006 - `input` is the contract's name

import dataclasses
from typing import Any, TypedDict, cast

import pytest
import structlog
from pydantic import BaseModel
from structlog.testing import CapturingLogger

from nightcrew.agent.base_context import CancelFlag, Memory
from nightcrew.agent.context import Context
from nightcrew.agent.durable import Durable
from nightcrew.domain.execution import TriggerKind, TriggerRef
from nightcrew.programs.entry import Entry
from nightcrew.programs.errors import InvalidInput, LoadError


class Order(BaseModel):
    id: int
    note: str = ""


@dataclasses.dataclass
class Point:
    x: int
    y: int = 2


class Named(TypedDict):
    name: str


def call(target, given=None, log=None):
    ctx = Context(
        execution_id="e1",
        agent_id="a",
        attempt=1,
        trigger=TriggerRef(kind=TriggerKind.MANUAL),
        log=lambda: structlog.wrap_logger(log or CapturingLogger(), processors=[]),
        memory=Memory({}),
        cancellation=CancelFlag(),
        durable=cast("Durable", None),
    )
    return Entry.of(target, path="p.py").call(ctx, given or {})


def test_plain_forms():
    assert call(lambda input: input, {"a": 1}) == {"a": 1}
    assert call(lambda: 7, {"a": 1}) == 7

    def both(ctx, input):
        return ctx.execution_id, input

    assert call(both, {"a": 1}) == ("e1", {"a": 1})

    def by_annotation(input, where: Context):
        return where.execution_id, input

    assert call(by_annotation, {}) == ("e1", {})

    def by_text(where: "Context", input: "dict[str, Any]"):
        return where.execution_id, input

    assert call(by_text, {"b": 2}) == ("e1", {"b": 2})

    def only_ctx(ctx):
        return ctx.agent_id

    assert call(only_ctx, {"ignored": 1}) == "a"


def test_whole_inputs_are_validated():
    def model(order: Order):
        return order

    def point(ctx, where: Point):
        return where

    def typed(named: Named):
        return named

    def loose(data: dict[str, int]):
        return data

    assert call(model, {"id": "3"}) == Order(id=3)
    assert call(point, {"x": 1}) == Point(1, 2)
    assert call(typed, {"name": "n"}) == {"name": "n"}
    assert call(loose, {"a": 1}) == {"a": 1}
    with pytest.raises(InvalidInput, match=r"input\.id: Input should be a valid integer"):
        call(model, {"id": "x"})
    with pytest.raises(InvalidInput, match=r"input\.x: Field required"):
        call(point, {})
    with pytest.raises(InvalidInput, match=r"input\.a"):
        call(loose, {"a": "x"})


def test_keys_become_arguments():
    def f(a, b=2, *, c=3):
        return a, b, c

    assert call(f, {"a": 1, "c": 9}) == (1, 2, 9)

    def g(ctx, a, /, b):
        return ctx.execution_id, a, b

    assert call(g, {"a": 1, "b": 2}) == ("e1", 1, 2)

    def h(a, **rest):
        return a, rest

    assert call(h, {"a": 1, "z": 2}) == (1, {"z": 2})

    def one(name: str):
        return name

    assert call(one, {"name": "n"}) == "n"
    with pytest.raises(InvalidInput, match=r"input\.a: is required"):
        call(f, {"b": 1})


def test_keys_that_nobody_takes_are_named_in_a_warning():
    def f(a=0):
        return a

    log = CapturingLogger()
    assert call(f, {"aa": 1, "event": {}, "webhook": {}}, log) == 0
    assert [one.kwargs["keys"] for one in log.calls] == [["aa"]]


def test_objects():
    class Graph:
        async def ainvoke(self, state, config=None):
            return state

        def invoke(self, state):
            raise AssertionError

    class Agent:
        def run(self, user_prompt, deps=None):
            return user_prompt, deps

    class Calls:
        def __call__(self, n):
            return n

    assert Entry.of(Graph(), path="p").is_async
    assert call(Agent(), {"user_prompt": "hi"}) == ("hi", None)
    assert call(Agent(), {"other": "hi"}) == ({"other": "hi"}, None)
    assert call(Calls(), {"n": 4}) == 4
    with pytest.raises(LoadError, match="no function"):
        Entry.of(3, path="p")


async def test_an_async_object_gets_the_whole_input():
    class Graph:
        async def ainvoke(self, state, config=None):
            return state

    assert await call(Graph(), {"messages": []}) == {"messages": []}
