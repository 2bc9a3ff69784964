"""What has to stop and start one after the other: a supervisor's first start, and a group's restart."""

from collections.abc import Callable

from nightcrew.actor.component import ComponentState
from nightcrew.actor.member import Member
from nightcrew.actor.strategy import Plan
from nightcrew.ports.clock import Clock, TimerHandle


class Lineup:
    """Stops the doomed from right to left, waits for the back-off, starts what is down from left to right.

    It never waits itself: `advance` does what can be done now, and `stir` is called when it should be called
    again. So a failure in the midst of a start changes the plan at once.

    Args:
        members: The supervisor's children by id, from left to right; the same dictionary, not a copy.
        clock: For the back-off.
        stir: Wakes whoever calls `advance`.
    """

    def __init__(self, members: dict[str, Member], clock: Clock, stir: Callable[[], None]) -> None:
        self._members = members
        self._clock = clock
        self._stir = stir
        self._down = list(members)
        self._doomed: list[Member] = []  # from left to right
        self._starting: Member | None = None
        self._pause: TimerHandle | None = None
        self._pause_end = 0.0

    def __contains__(self, id_: str) -> bool:
        """Whether a child is still to be started."""
        return id_ in self._down

    def advance(self) -> bool:
        """Does the next thing, if what it waits for has come; True when nothing is left to do."""
        while self._doomed:
            last = self._doomed[-1]
            if last.run is not None:
                last.stop()
                return False
            self._doomed.pop()
        if self._pause is not None or self._starting is not None:
            return False
        while self._down:
            member = self._members.get(self._down.pop(0))
            if member is not None:
                self._starting = member
                member.begin()
                return False
        return True

    def settled(self, member: Member) -> None:
        """Takes note that a member is ready or has ended."""
        if self._starting is member:
            self._starting = None
            self._stir()
        elif member.doomed:
            self._stir()

    def restart(self, failed: Member, plan: Plan, delay: float) -> None:
        """Adds a group's restart, to begin `delay` seconds after now, to what is to be done already."""
        failed.state = ComponentState.BACKING_OFF
        for id_ in plan.stop:
            self._members[id_].doomed = self._members[id_].run is not None
        self._doomed = [member for member in self._members.values() if member.doomed]
        due = {*self._down, *plan.start}
        self._down = [id_ for id_ in self._members if id_ in due]
        now = self._clock.monotonic()
        self._pause_end = max(self._pause_end, now + delay)
        self.close()
        if self._pause_end > now:
            self._pause = self._clock.call_later(self._pause_end - now, self._pause_over)
        self._stir()

    def close(self) -> None:
        """Calls the back-off off."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _pause_over(self) -> None:
        self._pause = None
        self._stir()
