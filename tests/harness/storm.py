"""A life by seed: several callers at once, faults by chance, kills, orders of tasks by chance; then everything heals."""

import asyncio
import random
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.harness.cast import EVENTS
from tests.harness.faulty_store import Fault, Faults
from tests.harness.ordeal import Ordeal, faults_of
from tests.harness.scenarios import SCENARIOS
from tests.harness.seeded_loop import run_seeded

RATES: Final = {
    Fault.BEFORE: 0.03,
    Fault.AFTER: 0.03,
    Fault.DELAY: 0.05,
    Fault.LATE: 0.05,
    Fault.KILL_BEFORE: 0.004,
    Fault.KILL_AFTER: 0.004,
}
LEFT_OUT: Final = {"schedule", "pause", "stop", "cancel", "event"}
"""What must have a box alone, or an outcome of its own; the rest may be mixed in any way."""
ACTS: Final = tuple(sorted(set(SCENARIOS) - LEFT_OUT))


@dataclass
class Lived:
    """Figures of a life."""

    executions: int
    restarts: int
    faults: int


def storm(seed: int, folder: Path) -> Lived:
    """One life; fails with what is amiss at its end, and with how to have it again."""
    chance = random.Random(f"storm {seed}")
    try:
        return run_seeded(_life(seed, folder, chance), f"order {seed}")
    except BaseException as error:
        error.add_note(f"seed {seed}: NIGHTCREW_SOAK_SEED={seed} python -m pytest tests/faults -k one_seed")
        raise


async def _life(seed: int, folder: Path, chance: random.Random) -> Lived:
    faults = Faults(chance=random.Random(f"faults {seed}"), rates=RATES)
    life = Ordeal(folder, faults, seed=seed)
    asyncio.get_running_loop().moment = life.clock.monotonic
    try:
        await life.start()
        for _ in range(chance.randint(2, 5)):
            await SCENARIOS[chance.choice(ACTS)][0](life)
            await life.publish(EVENTS[0], f"order-{chance.randint(1, 5)}")
            if chance.random() < 0.3:
                await life.cancel(await life.trigger(chance.choice(["stepper", "parent", "slow", "belled"])))
            await life.live(chance.choice([0, 0.5, 3, 20]))
        await life.ticks(chance.choice([4, 11]))
        await life.command("pause", "tick", "STATE_PAUSED")
        await life.heal()
        history = await life.end()
    except BaseException:
        with suppress(BaseException):
            await life.box.stop()
        raise
    found = faults_of(history)
    assert not found, f"{len(found)} breaches:\n" + "\n".join(found[:20])
    shutil.rmtree(folder)
    return Lived(len(history.executions), life.restarts, faults.dealt.total())
