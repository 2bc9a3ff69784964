"""Each call that a scenario makes of the store fails once, in each way that there is: everything heals."""

import random

import pytest
from tests.harness.every_call import calls_of, fails_at
from tests.harness.faulty_store import READ, READS, WRITES
from tests.harness.scenarios import SCENARIOS

FEW = 2
"""Of each scenario; `make soak ARGS="-k every_call"` takes them all."""


@pytest.mark.parametrize("name", SCENARIOS)
async def test_some_calls_of_each_scenario_fail(name, tmp_path):
    calls = await calls_of(name, tmp_path / "whole")
    chosen = [(at, fault) for at, kind in enumerate(calls) for fault in (READS if kind == READ else WRITES)]
    for at, fault in random.Random(name).sample(chosen, FEW):
        await fails_at(name, {at: fault}, tmp_path / f"{at}-{fault}")
