"""`nightcrew events deliveries` and `redeliver`: what outbound hooks could not deliver."""

from typing import Annotated

import typer

from nightcrew.cli import views
from nightcrew.cli.agents import LimitOption
from nightcrew.cli.connection import Session, control
from nightcrew.cli.inputs import all_of, any_of, filter_option, member
from nightcrew.client.models.delivery import DeliveryState

FilterOption = Annotated[str, filter_option('event_type = "shop.order.created" AND attempts > 3')]


def register(app: typer.Typer) -> None:
    """Adds the commands to `nightcrew events`."""
    control(app, "deliveries")(deliveries)
    control(app, "redeliver")(redeliver)


async def deliveries(
    session: Session,
    *,
    hook: Annotated[list[str] | None, typer.Option("--hook", help="Only of this outbound hook.")] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only in this state: retrying or dead.")
    ] = None,
    filter_: FilterOption = "",
    limit: LimitOption = 50,
) -> None:
    """List events that outbound hooks could not deliver, newest first: those tried again, and those given up.

    Examples:
      nightcrew events deliveries --state dead
      nightcrew events deliveries --hook ops --output json
    """
    states = [member(DeliveryState, one, "--state") for one in state or ()]
    where = all_of(filter_, any_of("hook", hook or ()), any_of("state", states))
    found, more = await session.client.events.deliveries(filter=where).take(limit)
    session.printer.many(found, views.DELIVERIES)
    if more:
        session.printer.remark(f"there are more than {limit}: --limit 0 shows all")


async def redeliver(
    session: Session,
    hook: Annotated[str, typer.Argument(metavar="HOOK", help="The outbound hook's name.")],
    sequence: Annotated[
        int, typer.Argument(metavar="[SEQUENCE]", help="The event's; all that were given up without one.")
    ] = 0,
) -> None:
    """Have deliveries tried again at once; a hook whose receiver was gone sends again.

    Examples:
      nightcrew events redeliver ops
      nightcrew events redeliver ops 4711
    """
    retried = await session.client.events.redeliver(hook, sequence=sequence)
    session.printer.value({"retried": retried})
