"""Deterministic simulation: a scenario is run again with a fault at a call of the store that it was seen to make."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.harness.faulty_store import Fault, Faults
from tests.harness.ordeal import Ordeal, faults_of
from tests.harness.scenarios import SCENARIOS, amiss


async def calls_of(name: str, folder: Path) -> list[str]:
    """The calls that a scenario makes of a store that does not fail."""
    return await fails_at(name, {}, folder)


async def fails_at(name: str, at: Mapping[int, Fault], folder: Path) -> list[str]:
    """Runs a scenario with faults at some of its calls; fails with what is amiss at its end. Returns the calls."""
    scenario, wanted = SCENARIOS[name]
    faults = Faults(at)
    life = Ordeal(folder, faults)
    where = ", ".join(f"{fault} at call {number}" for number, fault in at.items()) or "no fault"
    try:
        await life.start()
        await scenario(life)
        await life.live(30)
        calls = list(faults.calls)
        await life.heal()
        history = await life.end()
    except BaseException as error:
        with suppress(BaseException):
            await life.box.stop()
        error.add_note(f"scenario {name!r}, {where}: {_named(faults, at)}")
        raise
    found = [*faults_of(history), *amiss(history, wanted)]
    assert not found, f"scenario {name!r}, {where} ({_named(faults, at)}):\n" + "\n".join(found)
    shutil.rmtree(folder)
    return calls


def _named(faults: Faults, at: Mapping[int, Fault]) -> str:
    return ", ".join(faults.calls[number] for number in at if number < len(faults.calls))
