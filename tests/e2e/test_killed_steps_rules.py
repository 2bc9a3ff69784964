"""The checker of killed steps finds what must not be: one that finds nothing must be able to."""

import re

import pytest
from tests.harness.killed_steps import Kill, Killed

FINE = {
    "steps": 5,
    "abreast": 1,
    "entered": [0, 1, 2, 2, 3, 4],
    "kills": [Kill(3, {0, 1})],
    "journal": {n: n * n for n in range(5)},
    "result": 30,
}


def test_a_step_that_was_under_way_at_the_kill_may_run_again():
    assert list(Killed(**FINE).faults()) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"result": 31}, "result"),
        ({"journal": FINE["journal"] | {3: 8}}, r"differs in \[3\]"),
        ({"entered": [0, 1, 2, 2, 4]}, r"never entered: \[3\]"),
        ({"kills": [Kill(3, {0, 1, 2})]}, r"before kill 1 and entered after it: \[2\]"),
        ({"kills": [Kill(4, {0, 1})]}, r"twice in life 1"),
        ({"entered": [0, 1, 2, 2, 1, 3, 4], "kills": [Kill(3, {0})]}, "2 were entered again"),
    ],
)
def test_each_fault_is_found(change, word):
    found = list(Killed(**FINE | change).faults())
    assert len(found) == 1
    assert re.search(word, found[0])
