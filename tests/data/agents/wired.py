"""Agents that events wake: three in a row, a cycle of two, one with a small backlog, one of a crowd."""

import asyncio
from typing import Any

from nightcrew.agent import agent, on_event

SUCCEEDED = "nightcrew.execution.succeeded"


@agent(triggers=[on_event("begin")], max_backlog=0)
async def first(event) -> Any:
    return event["data"]


@agent(triggers=[on_event(SUCCEEDED, source="/agents/first")], max_backlog=0)
async def second(event) -> Any:
    return event["data"]["result"]


@agent(triggers=[on_event(SUCCEEDED, source="/agents/second")], max_backlog=0)
async def third(event) -> Any:
    return event["data"]["result"]


@agent(triggers=[on_event("serve"), on_event(SUCCEEDED, source="/agents/pong")], max_backlog=0)
async def ping() -> None:
    pass


@agent(triggers=[on_event(SUCCEEDED, source="/agents/ping")], max_backlog=0)
async def pong() -> None:
    pass


@agent(triggers=[on_event("begin")], max_backlog=5)
async def narrow(event) -> Any:
    await asyncio.sleep(0.002)
    return event["data"]


@agent(start=False)
async def member(event) -> Any:
    return event["data"]
