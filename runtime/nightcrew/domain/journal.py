"""A journal during one attempt: which entry answers for what the program does next, and when they do not fit.

Source: semantics.md, Durable steps. A step's key is (branch, name, ordinal in the branch), or the key that its
author gave.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nightcrew.domain.step import MAX_STEPS, JournalFull, Step, StepKind, StepState


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the journal a program stands when it does something.

    Attributes:
        key: What the entry is found by.
        branch: The task.
        name: What the program calls it.
        ordinal: Which of that name in the branch, from 0.
        kind: What it does.
        digest: Of its arguments; empty where they are not compared.
    """

    key: str
    branch: str
    name: str
    ordinal: int
    kind: StepKind
    digest: str = ""

    def __str__(self) -> str:
        where = f" in branch {self.branch}" if self.branch else ""
        return f"{self.kind.value} {self.name!r} (number {self.ordinal + 1} of that name{where})"


class Mismatch(Exception):  # noqa: N818 - it is what it says
    """The code does something else than its journal has; the message names both sides."""


class Journal:
    """The entries of an execution, as the program comes to them."""

    __slots__ = ("_counts", "_steps", "_unread")

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps = {one.key: one for one in steps}
        self._counts: dict[tuple[str, str], int] = {}
        self._unread: dict[str, dict[str, Step]] = {}
        for step in self._steps.values():
            if not step.key.startswith(_OWN_KEY):
                self._unread.setdefault(step.branch, {})[step.key] = step

    def __len__(self) -> int:
        return len(self._steps)

    def place(self, branch: str, kind: StepKind, name: str, *, digest: str = "", key: str = "") -> Place:
        """The place of what the program does now; each call is the next of its name in its branch."""
        count = self._counts.get((branch, name), 0)
        self._counts[branch, name] = count + 1
        return Place(
            f"{_OWN_KEY}{key}" if key else f"{branch}/{name}#{count}", branch, name, count, kind, digest
        )

    def find(self, place: Place) -> Step | None:
        """The entry that answers, or None if this is new.

        Raises:
            Mismatch: The entry is of another kind or other arguments, or entries are left that should have come
                before something new.
            JournalFull: There is no room for something new.
        """
        step = self._steps.get(place.key)
        unread = self._unread.get(place.branch)
        if step is not None:
            if step.kind is not place.kind:
                raise Mismatch(f"the code comes to {place}, where the journal has {_told(step)}")
            if place.digest and step.digest and step.digest != place.digest:
                raise Mismatch(f"the code comes to {place} with other arguments than the journal has")
            if unread:
                unread.pop(place.key, None)
            return step
        if unread:
            waiting = next(iter(unread.values()))
            raise Mismatch(f"the code comes to {place}, which is new, where the journal has {_told(waiting)}")
        if len(self._steps) >= MAX_STEPS:
            raise JournalFull(
                f"the journal has {MAX_STEPS} entries, which is all it holds; go on with ctx.continue_as_new"
            )
        return None

    @property
    def open(self) -> tuple[str, ...]:
        """The keys of the entries that have not ended."""
        return tuple(one.key for one in self._steps.values() if not one.state.ended)

    def keep(self, step: Step) -> None:
        """Adds or replaces an entry: it is on disk."""
        self._steps[step.key] = step


_OWN_KEY = "key:"


def _told(step: Step) -> str:
    return str(Place(step.key, step.branch, step.name, step.ordinal, step.kind))


def survived(steps: Iterable[Step]) -> list[Step]:
    """The entries that a new attempt begins with: a failed step that ended its branch is to be run again.

    One that the program went on after (it caught the exception) stays, or what followed it would not fit.
    """
    kept: list[Step] = []
    went_on: set[str] = set()
    for step in reversed(list(steps)):
        if step.state is not StepState.FAILED or not went_on.isdisjoint(_upwards(step.branch)):
            kept.append(step)
            went_on.add(step.branch)
    return kept[::-1]


def _upwards(branch: str) -> list[str]:
    """A branch and those that it came from."""
    parts = branch.split(".") if branch else []
    return [".".join(parts[:count]) for count in range(len(parts) + 1)]
