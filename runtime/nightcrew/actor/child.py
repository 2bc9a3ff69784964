"""What a supervisor is told of a child, and what is checked before anything starts."""

import math
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from nightcrew.actor.component import ComponentKind, Subtree
from nightcrew.actor.strategy import Strategy
from nightcrew.domain.errors import FieldViolation, InvalidArgument
from nightcrew.domain.restart import RestartRule
from nightcrew.domain.spec.policy import RestartMode

Ready: TypeAlias = Callable[[], None]
"""Called by a child once it has started."""

Start: TypeAlias = Callable[[Ready], Coroutine[Any, Any, None]]
"""A child's life: an async function that calls `ready` once it has started and returns or raises when it ends.

Being cancelled means: stop. It may clean up for as long as its spec's `shutdown` says; then it is cancelled a
second time, and abandoned if even that does not end it. One that returns before it was ready had nothing to
do: that is a normal end, unless it is PERMANENT.
"""

DEFAULT_SHUTDOWN: Final = 5.0
DEFAULT_START_TIMEOUT: Final = 30.0

_ID = re.compile(r"[^/\s]{1,200}")


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A child of a supervisor.

    Attributes:
        id: Unique under its supervisor; no `/` and no white space.
        start: Its life; entered anew for each run.
        restart: When it is started again; UNSPECIFIED is its rule's mode, or PERMANENT without a rule.
        rule: A restart intensity of its own: past it only this child is given up, `on_give_up` is called, and
            nothing escalates. Only under ONE_FOR_ONE. None: its failures count for its supervisor.
        on_give_up: Called on the loop with the id and the last error (None: it ended normally too often).
        shutdown: Seconds it has to end when it is stopped; None is 5, for a supervisor no limit (its children
            have theirs); `math.inf` is no limit.
        start_timeout: Seconds until it must be ready; None is 30, for a supervisor no limit.
        kind: What it does, for ListComponents.
        significant: When it ends and is not started again, its supervisor stops the others and ends (OTP's
            auto_shutdown any_significant). Not with PERMANENT, which always comes back.
        outside: Its failures are of something that is not ours (a server elsewhere): they are told in one line when
            they begin, and back-off begins anew once it has been ready.
        subtree: The supervisor behind `start`, if it is one: see `Supervisor.as_child`.
    """

    id: str
    start: Start
    restart: RestartMode = RestartMode.UNSPECIFIED
    rule: RestartRule | None = None
    on_give_up: Callable[[str, BaseException | None], None] | None = None
    shutdown: float | None = None
    start_timeout: float | None = None
    kind: ComponentKind = ComponentKind.WORKER
    significant: bool = False
    outside: bool = False
    subtree: Subtree | None = None

    @property
    def mode(self) -> RestartMode:
        """When it is started again, with its default."""
        if self.restart is not RestartMode.UNSPECIFIED:
            return self.restart
        if self.rule is not None and self.rule.mode is not RestartMode.UNSPECIFIED:
            return self.rule.mode
        return RestartMode.PERMANENT

    @property
    def shutdown_limit(self) -> float:
        """`shutdown` with its default."""
        if self.shutdown is not None:
            return self.shutdown
        return math.inf if self.kind is ComponentKind.SUPERVISOR else DEFAULT_SHUTDOWN

    @property
    def start_limit(self) -> float:
        """`start_timeout` with its default."""
        if self.start_timeout is not None:
            return self.start_timeout
        return math.inf if self.kind is ComponentKind.SUPERVISOR else DEFAULT_START_TIMEOUT


def check_children(specs: Sequence[ChildSpec], strategy: Strategy) -> None:
    """Checks a supervisor's children before any of them starts.

    Raises:
        InvalidArgument: Names every field that is wrong, as `children[2].shutdown`.
    """
    found: list[FieldViolation] = []
    first: dict[str, int] = {}
    for index, spec in enumerate(specs):
        at = f"children[{index}]"
        found += [FieldViolation(f"{at}.{v.field}", v.description) for v in violations(spec, strategy)]
        if spec.id in first:
            found.append(FieldViolation(f"{at}.id", f"{spec.id!r} is children[{first[spec.id]}] already"))
        first.setdefault(spec.id, index)
    if found:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)


def check_child(spec: ChildSpec, strategy: Strategy) -> None:
    """Checks one child that is added later.

    Raises:
        InvalidArgument: Names every field that is wrong, as `child.shutdown`.
    """
    found = [FieldViolation(f"child.{v.field}", v.description) for v in violations(spec, strategy)]
    if found:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)


def violations(spec: ChildSpec, strategy: Strategy) -> list[FieldViolation]:
    """What is wrong with a spec by itself; fields relative to it."""
    found: list[FieldViolation] = []

    def wrong(field: str, description: str) -> None:
        found.append(FieldViolation(field, description))

    found += id_violations(spec.id)
    if spec.shutdown is not None and not spec.shutdown >= 0:
        wrong("shutdown", f"must be 0 or more seconds, is {spec.shutdown}")
    if spec.start_timeout is not None and not spec.start_timeout > 0:
        wrong("start_timeout", f"must be more than 0 seconds, is {spec.start_timeout}")
    if spec.significant and spec.mode is RestartMode.PERMANENT:
        wrong("significant", "must be False for a PERMANENT child: it never ends for good")
    if spec.rule is not None:
        found += _rule_violations(spec.rule, strategy)
    elif spec.on_give_up is not None:
        wrong("on_give_up", "is never called without a rule; give the child a rule of its own")
    return found


def id_violations(id_: str) -> list[FieldViolation]:
    """What is wrong with the id of a child or a supervisor: ids are joined by `/` to paths."""
    if _ID.fullmatch(id_):
        return []
    return [FieldViolation("id", f"must be 1 to 200 characters without '/' and white space, is {id_!r}")]


def _rule_violations(rule: RestartRule, strategy: Strategy) -> list[FieldViolation]:
    found = [FieldViolation(f"rule.{v.field}", v.description) for v in rule_violations(rule)]
    if strategy is not Strategy.ONE_FOR_ONE:
        found.append(
            FieldViolation("rule", f"must be None under {strategy}: the siblings depend on this child")
        )
    return found


def rule_violations(rule: RestartRule) -> list[FieldViolation]:
    """What is wrong with a rule that was not made by `domain.restart.resolve`."""
    found: list[FieldViolation] = []
    if rule.intensity < 0:
        found.append(FieldViolation("intensity", f"must be 0 or more, is {rule.intensity}"))
    if not rule.period > 0:
        found.append(FieldViolation("period", f"must be more than 0 seconds, is {rule.period}"))
    if not rule.initial_backoff >= 0:
        found.append(
            FieldViolation("initial_backoff", f"must be 0 or more seconds, is {rule.initial_backoff}")
        )
    if not rule.max_backoff >= rule.initial_backoff:
        found.append(
            FieldViolation("max_backoff", f"must be at least initial_backoff, is {rule.max_backoff}")
        )
    return found
