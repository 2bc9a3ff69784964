"""Small scenarios, one for each kind of work: what is done, and what must have become of it whatever the store did."""

from collections.abc import Awaitable, Callable, Mapping

from tests.harness.cast import EVENTS
from tests.harness.history import History
from tests.harness.ordeal import Ordeal, states

Scenario = Callable[[Ordeal], Awaitable[None]]
GOOD, FAILED, CANCELLED = "SUCCEEDED", "FAILED", "CANCELLED"


async def trigger(life: Ordeal) -> None:
    await life.ended(await life.trigger("quick"))
    await life.ended(await life.trigger("plain"))


async def queue(life: Ordeal) -> None:
    for _ in range(3):
        await life.trigger("slow")


async def schedule(life: Ordeal) -> None:
    await life.ticks(7)
    await life.command("pause", "tick", "STATE_PAUSED")


async def chain(life: Ordeal) -> None:
    for name in ("one", "two", "three", "one"):
        await life.publish(EVENTS[0], name)


async def steps(life: Ordeal) -> None:
    await life.trigger("stepper")


async def branches(life: Ordeal) -> None:
    await life.trigger("fanout")


async def signal(life: Ordeal) -> None:
    asked = await life.trigger("asker")
    await life.live(2)
    await life.signal(asked, {"n": 1}, {"n": 2})


async def early_signal(life: Ordeal) -> None:
    await life.signal(await life.trigger("asker"), "a", "b")


async def event(life: Ordeal) -> None:
    waits = await life.trigger("belled")
    for number in range(60):  # one that nobody knows of is found by the sweep, within a minute
        await life.live(2)
        await life.publish("soak.bell", f"bell-{number}")
        if (await life.ask(lambda: life.box.execution(waits))).state.final:
            return


async def call(life: Ordeal) -> None:
    await life.trigger("parent")


async def retries(life: Ordeal) -> None:
    await life.trigger("flaky")
    await life.trigger("grumpy")


async def retry(life: Ordeal) -> None:
    broken = await life.trigger("broken")
    await life.ended(broken)
    await life.retry(broken)


async def cancel(life: Ordeal) -> None:
    """Of one that waits for a signal, one that is called, one that runs, and one that is queued."""
    asked, parent = await life.trigger("asker"), await life.trigger("parent")
    first, second = await life.trigger("slow"), await life.trigger("slow")
    await life.live(0.5)
    for one in (asked, parent, second, first):
        await life.cancel(one)


async def pause(life: Ordeal) -> None:
    for _ in range(2):
        await life.trigger("victim")
    await life.command("pause", "victim", "STATE_PAUSED")
    await life.live(2)
    await life.command("resume", "victim", "STATE_ACTIVE")


async def stop(life: Ordeal) -> None:
    for _ in range(2):
        await life.trigger("victim")
    await life.live(0.3)
    await life.command("stop", "victim", "STATE_STOPPED")


async def webhook(life: Ordeal) -> None:
    for name in ("one", "two", "one"):
        await life.deliver(name)


SCENARIOS: Mapping[str, tuple[Scenario, Mapping[str, list[str]]]] = {
    "trigger": (trigger, {"quick": [GOOD], "plain": [GOOD]}),
    "queue": (queue, {"slow": [GOOD] * 3}),
    "schedule": (schedule, {}),
    "chain": (chain, {"order": [GOOD] * 3, "shipped": [GOOD] * 3, "audit": [GOOD] * 3}),
    "steps": (steps, {"stepper": [GOOD]}),
    "branches": (branches, {"fanout": [GOOD]}),
    "signal": (signal, {"asker": [GOOD]}),
    "early signal": (early_signal, {"asker": [GOOD]}),
    "event": (event, {"belled": [GOOD]}),
    "call": (call, {"parent": [GOOD], "child": [GOOD] * 2}),
    "retries": (retries, {"flaky": [GOOD], "grumpy": [GOOD]}),
    "retry": (retry, {"broken": [FAILED] * 2}),
    "cancel": (cancel, {"asker": [CANCELLED]}),
    "pause": (pause, {"victim": [GOOD] * 2}),
    "stop": (stop, {"victim": [CANCELLED] * 2}),
    "webhook": (webhook, {"hook": [GOOD] * 2}),
}


def amiss(history: History, wanted: Mapping[str, list[str]]) -> list[str]:
    """What became of a scenario otherwise than it must."""
    return [
        f"{agent_id} is {states(history, agent_id)}, not {expected}"
        for agent_id, expected in wanted.items()
        if states(history, agent_id) != expected
    ]
