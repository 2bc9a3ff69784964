"""Mixed load and every kind of blow, for NIGHTCREW_SOAK_SECONDS (an hour by default): the history stays whole.

make soak ARGS="-k hour"
NIGHTCREW_SOAK_SECONDS=600 NIGHTCREW_SOAK_SEED=7 make soak ARGS="-k hour"
"""

import os
import random

from tests.harness.blows import endless
from tests.harness.mixed import mixed

SECONDS = float(os.environ.get("NIGHTCREW_SOAK_SECONDS", "3600"))
SEED = int(os.environ.get("NIGHTCREW_SOAK_SEED", "1"))
CALLS = 8000
"""Of each caller, about: an agent keeps 10,000 executions, and the checker wants to see them all."""


async def test_an_hour_of_everything(up, agents, figures):
    crew = up(agents("crew"), agents("mixed"), flags=["--drain", "2"]).start()
    report = await mixed(
        crew,
        crew.paths[0].parent,
        seconds=SECONDS,
        blows=endless(random.Random(SEED)),
        seed=SEED,
        pause=max(0.02, SECONDS / CALLS),
    )
    figures([f"seed {SEED}", *report.lines()])
