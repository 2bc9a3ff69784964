"""Which siblings a failure concerns: OTP's three strategies as one pure function."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from nightcrew.domain.spec.policy import RestartMode


class Strategy(StrEnum):
    """What is started again when a child is (erlang.org, supervisor: restart strategy)."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class Member(Protocol):
    """What the strategy needs to know of a child."""

    @property
    def mode(self) -> RestartMode:
        """When it is started again."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restart does, as ids.

    Attributes:
        stop: To be stopped, in this order: right to left. The failed child has ended already.
        start: To be started, in this order: left to right, each when the one before it is ready. Those that
            had ended normally start again too, TEMPORARY ones do not.
    """

    stop: tuple[str, ...]
    start: tuple[str, ...]


def plan(strategy: Strategy, members: Mapping[str, Member], failed: str) -> Plan:
    """What follows when `failed` is to be started again; `members` are all children from left to right.

    Raises:
        KeyError: `failed` is no member.
    """
    if failed not in members:
        raise KeyError(failed)
    if strategy is Strategy.ONE_FOR_ONE:
        return Plan((), (failed,))
    ids = list(members)
    concerned = ids if strategy is Strategy.ONE_FOR_ALL else ids[ids.index(failed) :]
    return Plan(
        stop=tuple(name for name in reversed(concerned) if name != failed),
        start=tuple(
            name for name in concerned if name == failed or members[name].mode is not RestartMode.TEMPORARY
        ),
    )
