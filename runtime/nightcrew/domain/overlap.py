"""Overlap: what becomes of work that comes while an agent's places are taken (semantics.md, Overlap)."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from nightcrew.domain.execution import TriggerKind
from nightcrew.domain.spec.policy import DEFAULT_MAX_CONCURRENCY, OverlapPolicy

T = TypeVar("T", bound=Hashable)

_REPLACING: Final = frozenset({OverlapPolicy.CANCEL_OTHER, OverlapPolicy.TERMINATE_OTHER})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision(Generic[T]):
    """What becomes of everything that was buffered or due, each in its order.

    Attributes:
        start: Starts now.
        keep: Waits in the backlog, what was buffered before included.
        skipped: Never runs, by the policy; one that was buffered becomes BUFFER_DROPPED in the ledger.
        dropped: Never runs, as the backlog is full; only ever of what is due.
        cancel: The same trigger's runs are cancelled, in the commit that keeps the replacement.
        terminate: They are killed.
    """

    start: tuple[T, ...] = ()
    keep: tuple[T, ...] = ()
    skipped: tuple[T, ...] = ()
    dropped: tuple[T, ...] = ()
    cancel: bool = False
    terminate: bool = False


def effective_overlap(agent: OverlapPolicy, trigger: OverlapPolicy, kind: TriggerKind) -> OverlapPolicy:
    """The policy that decides: the trigger's, else the agent's, else the kind's default.

    A backfill has a policy of its own, handed in as the trigger's: the agent's does not reach it, or a SKIP
    would empty it.
    """
    if trigger is not OverlapPolicy.UNSPECIFIED:
        return trigger
    if agent is not OverlapPolicy.UNSPECIFIED and kind is not TriggerKind.BACKFILL:
        return agent
    return OverlapPolicy.SKIP if kind is TriggerKind.SCHEDULE else OverlapPolicy.BUFFER_ALL


def effective_concurrency(max_concurrency: int | None, policy: OverlapPolicy) -> int:
    """The bound that holds, 0 for none: an unset one is 1, save under ALLOW, where it is none."""
    if max_concurrency is not None:
        return max_concurrency
    return 0 if policy is OverlapPolicy.ALLOW else DEFAULT_MAX_CONCURRENCY


def decide(
    policy: OverlapPolicy,
    *,
    running: int,
    waiting: int = 0,
    others_running: int = 0,
    others_buffered: int = 0,
    max_concurrency: int,
    max_backlog: int,
    buffered: Sequence[T],
    due: Sequence[T],
) -> Decision[T]:
    """What starts, waits or falls away; nothing that was given is lost or doubled between the answers.

    Args:
        policy: What `effective_overlap` said.
        running: Runs of the same trigger that are RUNNING.
        waiting: Its runs that keep their place without running (WAITING, RETRYING, requeued).
        others_running: Places that other triggers' runs hold.
        others_buffered: What other triggers have in the backlog: it came first, so free places are theirs.
        max_concurrency: The agent's places; 0 is no bound (see `effective_concurrency`).
        max_backlog: How many may wait in the agent's backlog; 0 is no bound.
        buffered: What the same trigger has in the backlog, oldest first.
        due: What came now, oldest first. When it is empty nothing is skipped or cancelled.

    Raises:
        ValueError: The policy is UNSPECIFIED.
    """
    if policy is OverlapPolicy.UNSPECIFIED:
        raise ValueError("the policy must be an effective one; see effective_overlap")
    held = running + waiting
    taken = held + others_running + others_buffered
    places = max(0, max_concurrency - taken) if max_concurrency else len(buffered) + len(due)
    if policy in _REPLACING and due:
        return _replace(policy, held, places, (*buffered, *due))
    start = (*buffered, *due)[:places]
    kept = tuple(buffered[len(start) :])
    late = tuple(due[max(0, len(start) - len(buffered)) :])
    match policy:
        case OverlapPolicy.SKIP:
            return Decision(start=start, keep=kept, skipped=late)
        case OverlapPolicy.BUFFER_ONE:
            room = 0 if kept else 1
            return Decision(start=start, keep=kept + late[:room], skipped=late[room:])
        case _:
            room = max(0, max_backlog - len(kept) - others_buffered) if max_backlog else len(late)
            return Decision(start=start, keep=kept + late[:room], dropped=late[room:])


def _replace(policy: OverlapPolicy, held: int, places: int, queue: tuple[T, ...]) -> Decision[T]:
    """The newest that fit start; with no place at all the newest waits for the end of what it replaces."""
    fit = min(places, len(queue))
    if fit:
        return Decision(start=queue[-fit:], skipped=queue[:-fit])
    return Decision(
        keep=queue[-1:],
        skipped=queue[:-1],
        cancel=policy is OverlapPolicy.CANCEL_OTHER and held > 0,
        terminate=policy is OverlapPolicy.TERMINATE_OTHER and held > 0,
    )
