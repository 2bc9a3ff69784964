"""The agents that are measured: one that does nothing, one that notes when it was entered."""

import time
from typing import Any

from nightcrew.agent import agent


@agent(start=False)
async def noop(input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the whole input is asked for by this name
    return {"ok": True, "i": input.get("i")}


@agent(start=False)
async def stamp() -> dict[str, float]:
    return {"entered": time.time()}
