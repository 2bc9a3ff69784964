"""How long things are kept, as nightcrew.toml has it: the table [retention]."""

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, PlainSerializer

from nightcrew.domain.durations import format_duration, parse_duration, parse_typed
from nightcrew.domain.spec.base import Spec

LONGEST: Final = timedelta(days=36_500)
SHORTEST: Final = timedelta(hours=1)
"""However many there are, an execution that has just ended can be looked at."""


def _typed(value: Any) -> timedelta:
    return parse_typed(value) if isinstance(value, str) else parse_duration(value)


Age = Annotated[
    timedelta, BeforeValidator(_typed), PlainSerializer(format_duration), Field(ge=SHORTEST, le=LONGEST)
]


class RetentionSpec(Spec):
    """The table [retention]; ages as people type them, such as `30d` and `12h`.

    The ledger is kept for 90 days whatever is said here: backfills go back as far.

    Attributes:
        executions: How long after its end an execution is kept, with its log and its journal.
        executions_per_agent: How many of an agent that have ended are kept at most; those of the last hour always.
        events: How long events and entries of logs are kept.
    """

    executions: Age = timedelta(days=30)
    executions_per_agent: int = Field(default=10_000, ge=1, le=100_000_000)
    events: Age = timedelta(days=7)
