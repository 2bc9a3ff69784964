"""An agent on a cron: here every minute, so that you can see it; `30 8 * * mon-fri` is on weekdays at 8:30."""

from nightcrew.agent import Context, agent, cron


@agent(triggers=cron("* * * * *", tz="Europe/Berlin"), timeout=30)
async def minutely(ctx: Context) -> str:
    """Says which minute it ran for."""
    # print() and logging are kept with the execution: `nightcrew executions logs ID`.
    print("started for", ctx.trigger.nominal_time)
    # If the runtime was down, one run makes up for the minutes that were missed. catch_up="all" runs every
    # one of them, catch_up="none" none; `nightcrew schedules fires` shows what became of each.
    return f"a report for {ctx.trigger.nominal_time}"
