"""The errors that an agent's author raises or meets: NonRetryable, and a state that can't be used."""

from nightcrew.domain.errors import NightcrewError


class NonRetryable(Exception):  # noqa: N818 - authors raise it: it reads as what it means
    """Raise it (or a subclass of it) to end the execution at once, whatever its retry policy says."""


class StateUnavailable(NightcrewError):  # noqa: N818 - it reads as what is the matter, as its siblings do
    """`ctx.state` was used by an agent that may run several executions at once."""

    code = "state_unavailable"
