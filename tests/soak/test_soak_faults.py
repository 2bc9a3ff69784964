"""Every call of the store that a scenario makes, in every way that it can fail: thousands of lives of a box."""

import os
import time
from dataclasses import astuple

import pytest
from tests.harness.every_call import calls_of, fails_at
from tests.harness.faulty_store import READ, READS, WRITES
from tests.harness.scenarios import SCENARIOS
from tests.harness.storm import storm

LIVES = int(os.environ.get("NIGHTCREW_SOAK_LIVES", "3000"))


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_call_of_a_scenario_fails_in_every_way(name, tmp_path, figures):
    begin, lives = time.monotonic(), 0
    calls = await calls_of(name, tmp_path / "whole")
    for at, kind in enumerate(calls):
        for fault in READS if kind == READ else WRITES:
            await fails_at(name, {at: fault}, tmp_path / f"{at}-{fault}")
            lives += 1
    figures([f"{len(calls)} calls, {lives} faults in {time.monotonic() - begin:.0f} s: everything healed"])


def test_thousands_of_lives_by_seed(tmp_path, figures):
    begin = time.monotonic()
    lives = [storm(seed, tmp_path / f"{seed}") for seed in range(LIVES)]
    executions, restarts, faults = (sum(one) for one in zip(*map(astuple, lives), strict=True))
    told = f"{executions} executions, {faults} faults, {restarts} restarts; every history is whole"
    figures([f"{LIVES} lives in {time.monotonic() - begin:.0f} s: {told}"])
