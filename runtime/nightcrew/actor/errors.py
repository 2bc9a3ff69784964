"""What actors and supervisors raise: to senders, to whoever starts a child, and to the supervisor above."""

from nightcrew.domain.errors import NightcrewError, ResourceExhausted, Unavailable


class MailboxFull(ResourceExhausted):
    """The mailbox holds as many messages as it may; the message was not taken. Try again later."""

    code = "mailbox_full"

    def __init__(self, name: str, capacity: int) -> None:
        super().__init__(f"the mailbox of {name!r} is full: {capacity} messages wait")
        self.name = name
        self.capacity = capacity


class ActorStopped(Unavailable):
    """The actor (or supervisor) has ended or is not started: the message was not, or not fully, handled."""

    code = "actor_stopped"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name!r} takes no messages: {reason}")
        self.name = name
        self.reason = reason


class Refused(Exception):  # noqa: N818 - it is an answer, no fault of the actor
    """Raised in `Actor.receive` to answer an ask with `error`; the actor goes on."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class StartFailed(NightcrewError):  # noqa: N818 - it names what happened
    """A child ended, or was stopped by its start timeout, before it was ready; `__cause__` says why."""

    code = "start_failed"

    def __init__(self, child: str, cause: BaseException) -> None:
        super().__init__(f"{child!r} did not start: {describe(cause)}")
        self.child = child


class StartTimeout(NightcrewError):  # noqa: N818 - it names what happened
    """A child was not ready in its time."""

    code = "start_timeout"


class EndedEarly(NightcrewError):  # noqa: N818 - it names what happened
    """A child that is to run for ever returned before it was ready."""

    code = "ended_early"


class ChildCancelled(NightcrewError):  # noqa: N818 - it names what happened
    """A child ended as cancelled though its supervisor did not stop it."""

    code = "child_cancelled"


class ChildAbandoned(NightcrewError):  # noqa: N818 - it names what happened
    """A child would not end: its task is left behind, and may still do things."""

    code = "child_abandoned"


class SupervisorGaveUp(NightcrewError):  # noqa: N818 - it names what happened
    """A child failed more often than its supervisor allows; `__cause__` is the child's last error.

    Attributes:
        supervisor: The id of the supervisor that gave up.
        child: The id of the child that failed once too often.
    """

    code = "supervisor_gave_up"

    def __init__(
        self,
        supervisor: str,
        child: str,
        cause: BaseException | None,
        *,
        needed: int,
        intensity: int,
        period: float,
    ) -> None:
        super().__init__(
            f"supervisor {supervisor!r} gave up on {child!r}: restart {needed} within {period:g} s, {intensity}"
            f" are allowed; last end: {describe(cause)}"
        )
        self.supervisor = supervisor
        self.child = child


def describe(error: BaseException | None) -> str:
    """`ValueError: boom`, or that it was a normal end."""
    if error is None:
        return "a normal end"
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
