"""What a burst runs, and a neighbour that must not notice."""

from nightcrew.agent import Context, agent, every


@agent(start=False)
async def beat(ctx: Context) -> str:
    return str(ctx.trigger.nominal_time)


@agent(triggers=every(seconds=1))
async def tick(ctx: Context) -> str:
    return str(ctx.trigger.nominal_time)
