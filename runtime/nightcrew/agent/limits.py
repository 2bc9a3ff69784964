"""Limits as authors write them: plain arguments that become the domain's budget guard."""

from collections.abc import Mapping

from nightcrew.agent.arguments import Span, build, span
from nightcrew.domain.errors import InvalidArgument
from nightcrew.domain.spec.limits import AgentLimits, Per

_PER = {"per_hour": Per.HOUR, "per_day": Per.DAY, "per_month": Per.MONTH}


class Limits:
    """What an agent may use up before it is paused, in whole hours, days and months of UTC.

        @agent(limits=Limits(executions_per_hour=100, spend_per_day={"usd": 5}))

    Args:
        executions_per_hour: How many executions may start.
        run_time_per_day: How long they may run, all together: seconds or a timedelta.
        spend_per_hour: How much of each name `ctx.spend` may report.
        spend_per_day: The same for a day.
        spend_per_month: The same for a month.

    Raises:
        InvalidArgument: An argument is wrong; it is named.
    """

    __slots__ = ("limits",)

    def __init__(
        self,
        *,
        executions_per_hour: int | None = None,
        run_time_per_day: Span | None = None,
        spend_per_hour: Mapping[str, float] | None = None,
        spend_per_day: Mapping[str, float] | None = None,
        spend_per_month: Mapping[str, float] | None = None,
    ) -> None:
        given = {"per_hour": spend_per_hour, "per_day": spend_per_day, "per_month": spend_per_month}
        for name, amounts in given.items():
            if not isinstance(amounts or {}, Mapping):
                raise InvalidArgument.of(f"spend_{name}", f"must be amounts by name, not {amounts!r}")
        self.limits = build(
            AgentLimits,
            {
                "executions_per_hour": executions_per_hour,
                "run_time_per_day": span(run_time_per_day, field="run_time_per_day"),
                "spend": tuple(
                    {"name": what, "per": _PER[name], "max": most}
                    for name, amounts in given.items()
                    for what, most in (amounts or {}).items()
                ),
            },
        )
