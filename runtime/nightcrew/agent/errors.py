"""The errors that an agent's author raises or meets: no retry, no state, steps and calls that failed."""

from nightcrew.domain.errors import NightcrewError


class NonRetryable(Exception):  # noqa: N818 - authors raise it: it reads as what it means
    """Raise it (or a subclass of it) to end the execution at once, whatever its retry policy says."""


class StateUnavailable(NightcrewError):  # noqa: N818 - it reads as what is the matter, as its siblings do
    """`ctx.state` was used by an agent that may run several executions at once."""

    code = "state_unavailable"


class StepFailed(Exception):  # noqa: N818 - the same
    """A step failed with an exception that can't be made again from the journal; the message names its type."""


class CallFailed(StepFailed):
    """An agent that was called did not succeed, or could not be called; the message says why."""


class BudgetExceeded(NonRetryable):
    """`ctx.spend` was called when a limit of the agent had been passed before; the message says which."""


class DurableUnavailable(NightcrewError):  # noqa: N818 - the same
    """A durable call was made where none can be: inside a step, or in a program that has no journal."""

    code = "durable_unavailable"
