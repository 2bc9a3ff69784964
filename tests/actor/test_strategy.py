"""The three strategies over every size, position and mode, against their definition in words."""

import itertools
from dataclasses import dataclass

import pytest

from nightcrew.actor.strategy import Plan, Strategy, plan
from nightcrew.domain.spec.policy import RestartMode


@dataclass
class Sibling:
    mode: RestartMode


MODES = (RestartMode.PERMANENT, RestartMode.TRANSIENT, RestartMode.TEMPORARY)
GRID = [
    (strategy, modes, position)
    for strategy in Strategy
    for size in (1, 2, 3, 4)
    for modes in itertools.product(MODES, repeat=size)
    for position in range(size)
]


def test_the_whole_grid():
    for strategy, modes, position in GRID:
        members = {str(index): Sibling(mode) for index, mode in enumerate(modes)}
        found = plan(strategy, members, str(position))
        for index, mode in enumerate(modes):
            concerned = {
                Strategy.ONE_FOR_ONE: index == position,
                Strategy.ONE_FOR_ALL: True,
                Strategy.REST_FOR_ONE: index >= position,
            }[strategy]
            comes_back = index == position or mode is not RestartMode.TEMPORARY
            case = (strategy, modes, position, index)
            assert (str(index) in found.stop) == (concerned and index != position), case
            assert (str(index) in found.start) == (concerned and comes_back), case
        assert list(found.stop) == sorted(found.stop, reverse=True)
        assert list(found.start) == sorted(found.start)


def test_an_example_of_each():
    members = dict.fromkeys("abcd", Sibling(RestartMode.PERMANENT))
    assert plan(Strategy.ONE_FOR_ONE, members, "b") == Plan((), ("b",))
    assert plan(Strategy.ONE_FOR_ALL, members, "b") == Plan(("d", "c", "a"), ("a", "b", "c", "d"))
    assert plan(Strategy.REST_FOR_ONE, members, "b") == Plan(("d", "c"), ("b", "c", "d"))


@pytest.mark.parametrize("strategy", Strategy)
def test_a_stranger_is_an_error(strategy):
    with pytest.raises(KeyError):
        plan(strategy, {"a": Sibling(RestartMode.PERMANENT)}, "b")
