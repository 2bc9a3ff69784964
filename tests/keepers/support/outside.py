"""A runtime with outbound hooks in virtual time, and receivers in real time."""

import asyncio
import json
import time

from nightcrew.agent import agent
from nightcrew.config.settings import load_settings
from nightcrew.domain.delivery import DeliveryState
from nightcrew.domain.page import ListQuery
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
        return Box(work, folder=self.folder / "data", clock=self.clock, settings=load_settings())


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


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


async def none_left(box):
    return not await deliveries(box)


async def so_many_dead(box, count):
    found = await deliveries(box, state=DeliveryState.DEAD)
    return found if len(found) == count else None


async def in_all(box, count):
    return len(await deliveries(box)) == count


async def with_reason(box, text):
    return [one for one in await deliveries(box) if text in one.reason]
