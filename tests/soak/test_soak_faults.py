"""Every call of the store that a scenario makes, in every way that it can fail: thousands of lives of a box."""

import time

import pytest
from tests.harness.every_call import calls_of, fails_at
from tests.harness.faulty_store import READ, READS, WRITES
from tests.harness.scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
async def test_every_call_of_a_scenario_fails_in_every_way(name, tmp_path, figures):
    begin, lives = time.monotonic(), 0
    calls = await calls_of(name, tmp_path / "whole")
    for at, kind in enumerate(calls):
        for fault in READS if kind == READ else WRITES:
            await fails_at(name, {at: fault}, tmp_path / f"{at}-{fault}")
            lives += 1
    figures([f"{len(calls)} calls, {lives} faults in {time.monotonic() - begin:.0f} s: everything healed"])
