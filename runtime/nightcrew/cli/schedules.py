"""`nightcrew schedules`: preview, fires, backfill and skip."""

import asyncio
from typing import Annotated, Any, Final

import typer

from nightcrew.cli import views
from nightcrew.cli.agents import LimitOption
from nightcrew.cli.connection import Session, control
from nightcrew.cli.durations import duration, instant, optional_instant
from nightcrew.cli.inputs import all_of, any_of, filter_option, member
from nightcrew.cli.refusal import WrongUse
from nightcrew.client.models.json_form import format_duration
from nightcrew.client.models.schedule import BackfillState, FireOutcome, OverlapPolicy

app = typer.Typer(no_args_is_help=True, help="Schedules: when things fire, and what became of it.")

_POLL: Final = 0.5
"""Seconds between looks at a backfill that is waited for."""

AgentArgument = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's id.")]
TriggerArgument = Annotated[str, typer.Argument(metavar="TRIGGER", help="The id of its schedule trigger.")]
FilterOption = Annotated[str, filter_option('trigger_id = "cron" AND nominal_time > "2026-01-01T00:00:00Z"')]


@control(app, "preview")
async def preview(
    session: Session,
    expression: Annotated[
        str, typer.Argument(metavar="EXPR", help='A cron expression, such as "0 9 * * mon-fri".')
    ] = "",
    *,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="An interval in place of EXPR: 10s, 5m.")
    ] = "",
    agent: Annotated[str, typer.Option("--agent", help="An agent's schedule in place of EXPR.")] = "",
    trigger: Annotated[str, typer.Option("--trigger", help="Which trigger of that agent.")] = "cron",
    tz: Annotated[str, typer.Option("--tz", help="The time zone of EXPR, such as Europe/Berlin.")] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many times.")] = 10,
    after: Annotated[
        str | None, typer.Option("--after", metavar="TIME", help="Times after this one; now by default.")
    ] = None,
) -> None:
    """Show when a schedule fires next, changes of the clocks included.

    Examples:
      nightcrew schedules preview "0 9 * * mon-fri" --tz Europe/Berlin
      nightcrew schedules preview "30 2 * * *" --tz Europe/Berlin --after 2026-03-28T00:00:00Z --count 3
      nightcrew schedules preview --agent digest --trigger cron
    """
    if sum(map(bool, (expression, every, agent))) != 1:
        raise WrongUse("EXPR", "give a cron expression, --every or --agent; one of them")
    schedule: dict[str, Any] | None = None
    if expression:
        schedule = {"cron": {"expression": expression}}
    elif every:
        schedule = {"interval": {"every": format_duration(duration(every, "--every"))}}
    if schedule is not None and tz:
        schedule["time_zone"] = tz
    fires = await session.client.schedules.preview(
        schedule,
        agent_id=agent,
        trigger_id=trigger if agent else "",
        after=optional_instant(after, "--after"),
        count=count,
    )
    session.printer.many(fires, views.PREVIEWED)
    if not fires:
        session.printer.remark("it does not fire any more")


@control(app, "fires")
async def fires(
    session: Session,
    *,
    agent: Annotated[list[str] | None, typer.Option("--agent", help="Only those of this agent.")] = None,
    trigger: Annotated[
        list[str] | None, typer.Option("--trigger", help="Only those of this trigger.")
    ] = None,
    outcome: Annotated[
        list[str] | None,
        typer.Option("--outcome", help="Only these: started, skipped_overlap, missed_catch_up…"),
    ] = None,
    filter_: FilterOption = "",
    limit: LimitOption = 50,
) -> None:
    """List the ledger: what became of each time that a schedule fired, newest first.

    Examples:
      nightcrew schedules fires --agent digest
      nightcrew schedules fires --outcome missed_catch_up --limit 0
    """
    outcomes = [member(FireOutcome, one, "--outcome") for one in outcome or ()]
    where = all_of(
        filter_,
        any_of("agent_id", agent or ()),
        any_of("trigger_id", trigger or ()),
        any_of("outcome", outcomes),
    )
    found, more = await session.client.schedules.fires(filter=where).take(limit)
    session.printer.many(found, views.FIRES)
    if more:
        session.printer.remark(f"there are more than {limit}: --limit 0 shows all")


@control(app, "backfill")
async def backfill(
    session: Session,
    agent: AgentArgument,
    trigger: TriggerArgument,
    *,
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help="The first moment, inclusive.")],
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="The last moment, inclusive.")],
    overlap: Annotated[
        str | None, typer.Option("--overlap", help="Its overlap policy: buffer_all (default), skip, allow…")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return once every time has been fed.")] = False,
) -> None:
    """Run the times of a past range that did not run.

    With --wait the exit code is 1 unless it succeeds. The runs themselves may go on a while longer.

    Examples:
      nightcrew schedules backfill digest cron --from 2026-01-01T00:00:00Z --to 2026-01-07T23:59:59Z
      nightcrew schedules backfill digest cron --from 2026-01-01T00:00:00Z --to 2026-01-02T00:00:00Z --wait
    """
    made = await session.client.schedules.backfill(
        agent,
        trigger,
        instant(from_, "--from"),
        instant(to, "--to"),
        overlap=None if overlap is None else member(OverlapPolicy, overlap, "--overlap"),
    )
    while wait and made.state is BackfillState.RUNNING:
        await asyncio.sleep(_POLL)
        made = await session.client.schedules.get_backfill(made.id)
    session.printer.one(made, views.backfill_rows(made))
    if wait and made.state is not BackfillState.SUCCEEDED:
        raise typer.Exit(1)


@control(app, "skip")
async def skip(
    session: Session,
    agent: AgentArgument,
    trigger: TriggerArgument,
    time: Annotated[
        str, typer.Argument(metavar="TIME", help="The nominal time, such as 2026-11-01T09:00:00Z.")
    ],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for people.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the skip back.")] = False,
) -> None:
    """Leave out one time that is to come.

    Examples:
      nightcrew schedules skip digest cron 2026-12-25T08:00:00Z --reason Christmas
      nightcrew schedules skip digest cron 2026-12-25T08:00:00Z --undo
    """
    nominal = instant(time, "TIME")
    if undo:
        await session.client.schedules.unskip(agent, trigger, nominal)
        session.printer.remark(f"{trigger} of {agent} fires at {time} after all")
        return
    fire = await session.client.schedules.skip(agent, trigger, nominal, reason=reason)
    session.printer.one(fire, views.fire_rows(fire))
