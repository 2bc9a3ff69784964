"""Lives of a whole runtime on a virtual clock: orders of tasks, faults and kills by seed, and one history to check."""

import os

import pytest
from tests.harness.storm import storm

FEW = 10


@pytest.mark.parametrize("seed", range(FEW))
def test_a_life_by_seed(seed, tmp_path):
    lived = storm(seed, tmp_path / "store")
    assert lived.executions > 2
    assert lived.faults > 0


@pytest.mark.skipif("NIGHTCREW_SOAK_SEED" not in os.environ, reason="for a seed that was found")
def test_one_seed(tmp_path):
    storm(int(os.environ["NIGHTCREW_SOAK_SEED"]), tmp_path / "store")
