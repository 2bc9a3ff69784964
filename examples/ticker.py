"""An agent on an interval that keeps state: it counts on where it was, whatever happened in between."""

from nightcrew.agent import Context, agent, every


@agent(triggers=every(seconds=5))
async def ticker(ctx: Context) -> dict[str, object]:
    """Counts its runs, and says when the one before was due."""
    # ctx.state is the agent's own dictionary. It is saved with the outcome of a run that succeeds, in one
    # transaction: stop the runtime, even with kill -9, start it again, and the count goes on.
    count = ctx.state["count"] = ctx.state.get("count", 0) + 1
    due = str(ctx.trigger.nominal_time)
    before, ctx.state["due"] = ctx.state.get("due"), due
    ctx.log.info("tick", count=count)
    return {"count": count, "due": due, "before": before}
