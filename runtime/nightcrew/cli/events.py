"""`nightcrew events`: publish, list and watch, and what could not be delivered."""

from typing import Annotated

import typer

from nightcrew.cli import deliveries, views
from nightcrew.cli.agents import LabelsOption, LimitOption
from nightcrew.cli.connection import Session, control
from nightcrew.cli.happenings import Happenings
from nightcrew.cli.inputs import all_of, any_of, any_type, filter_option, json_value, labels
from nightcrew.client.models.event import NewEvent

app = typer.Typer(no_args_is_help=True, help="Events: the log of every fact, and facts of your own.")

deliveries.register(app)

TypesOption = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only events of this type; shop.* is all that begin with shop."),
]
FilterOption = Annotated[str, filter_option('source = "/shop" AND subject = "order-42"')]
AgentsOption = Annotated[list[str] | None, typer.Option("--agent", help="Only events about this agent.")]


@control(app, "publish")
async def publish(
    session: Session,
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="Its type, such as shop.order.created.")],
    *,
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", metavar="JSON|@FILE|-", help="What it says: JSON, a file, stdin."),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="Where it comes from, a URI reference.")
    ] = "/nightcrew/cli",
    subject: Annotated[str, typer.Option("--subject", help="What in the source it is about.")] = "",
    id_: Annotated[
        str, typer.Option("--id", help="Its id; the same source and id within 24 h is the same event.")
    ] = "",
    extension: Annotated[
        list[str] | None, typer.Option("--extension", metavar="KEY=VALUE", help="A CloudEvents extension.")
    ] = None,
) -> None:
    """Publish an event: agents whose triggers match it run.

    Examples:
      nightcrew events publish shop.order.created --data '{"order": 42}' --source /shop
      nightcrew events publish shop.order.created --data @order.json --id order-42
    """
    event = NewEvent(
        type=type_,
        source=source,
        subject=subject,
        id=id_,
        data=None if data is None else json_value(data, "--data"),
        extensions=labels(extension or (), "--extension"),
    )
    session.printer.many(await session.client.events.publish([event]), views.PUBLISHED)


@control(app, "list")
async def list_events(
    session: Session,
    *,
    type_: TypesOption = None,
    agent: AgentsOption = None,
    filter_: FilterOption = "",
    limit: LimitOption = 50,
) -> None:
    """List events, newest first.

    Examples:
      nightcrew events list --agent digest
      nightcrew events list --type nightcrew.execution.failed --output json
      nightcrew events list --type 'shop.*'
    """
    where = all_of(filter_, any_type(type_ or ()), any_of("agent_id", agent or ()))
    found, more = await session.client.events.list(filter=where).take(limit)
    session.printer.many(found, views.EVENTS)
    if more:
        session.printer.remark(f"there are more than {limit}: --limit 0 shows all")


@control(app, "watch")
async def watch(
    session: Session,
    *,
    type_: TypesOption = None,
    agent: AgentsOption = None,
    label: LabelsOption = None,
    filter_: FilterOption = "",
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the events that are kept.")
    ] = False,
    resume: Annotated[
        str, typer.Option("--resume", metavar="TOKEN", help="Go on after an earlier watch.")
    ] = "",
) -> None:
    """Show events as they happen; Ctrl-C ends it.

    It survives restarts of the runtime, and misses and repeats nothing. With --output json it is a line an event.

    Examples:
      nightcrew events watch
      nightcrew events watch --type shop.order.created --from-start --output json
    """
    happenings = Happenings(session.printer)
    watching = session.client.events.watch(
        filter=all_of(filter_, any_type(type_ or ())),
        ids=agent or (),
        selector=labels(label or (), "--label"),
        include_snapshot=from_start,
        resume_token=resume,
    )
    async with watching:
        async for item in watching:
            happenings.show(item)
