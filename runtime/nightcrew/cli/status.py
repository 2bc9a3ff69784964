"""`nightcrew status`: the runtime's figures and its supervision tree."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer
from rich.text import Text
from rich.tree import Tree

from nightcrew.cli.connection import Session, control
from nightcrew.cli.output import Format, state_text
from nightcrew.client.models.delivery import OutboundHook
from nightcrew.client.models.runtime import Component, Runtime

FOLDED: Final = 12
"""So many siblings are shown; of more, those in trouble and a count."""


def register(app: typer.Typer) -> None:
    """Adds the command to the app."""
    control(app, "status")(status)


async def status(session: Session) -> None:
    """Show the runtime: its figures, and what its supervisors watch over.

    Examples:
      nightcrew status
      nightcrew status --output json
    """
    runtime = await session.client.runtime.get()
    components = [one async for one in session.client.runtime.components()]
    printer = session.printer
    if printer.format is not Format.TABLE:
        printer.value({"runtime": runtime, "components": components})
        return
    printer.one(runtime, runtime_rows(runtime, session.client.address))
    for root in tree(components):
        printer.draw(root)


def runtime_rows(runtime: Runtime, address: str) -> Mapping[str, Any]:
    """The runtime's facts."""
    return {
        "nightcrew": f"{runtime.version}{' (draining)' if runtime.draining else ''}",
        "address": address,
        "since": runtime.start_time,
        "store": runtime.store,
        "agents": counts(runtime) or "none",
        "executions": f"{runtime.running} running, {runtime.queued} queued",
        "events": runtime.sequence,
        **{f"outbound {hook.name}": outbound(hook) for hook in runtime.outbound},
    }


def outbound(hook: OutboundHook) -> str:
    """How an outbound hook does: `2 retrying, 1 dead`."""
    if hook.disabled:
        return f"disabled: {hook.disabled}"
    figures = {"behind": hook.lag, "retrying": hook.retrying, "dead": hook.dead}
    return ", ".join(f"{count} {what}" for what, count in figures.items() if count) or "all delivered"


def counts(runtime: Runtime) -> str:
    """How many agents stand in each state: `3 active, 1 error`."""
    shown = {
        name.removeprefix("STATE_").lower(): count for name, count in runtime.agent_counts.items() if count
    }
    return ", ".join(f"{count} {name}" for name, count in sorted(shown.items()))


def tree(components: Sequence[Component]) -> list[Tree]:
    """The supervision tree; a root for each component whose parent is not there."""
    known = {one.id for one in components}
    children: defaultdict[str, list[Component]] = defaultdict(list)
    roots = []
    for one in components:
        if one.parent_id in known:
            children[one.parent_id].append(one)
        else:
            roots.append(one)
    return [_grown(Tree(_label(one, "")), one, children) for one in roots]


def _grown(branch: Tree, component: Component, children: Mapping[str, list[Component]]) -> Tree:
    below = children.get(component.id, [])
    shown = below if len(below) <= FOLDED else _telling(below)
    for one in shown:
        _grown(branch.add(_label(one, component.id)), one, children)
    if len(shown) < len(below):
        branch.add(Text(f"… and {len(below) - len(shown)} more", style="dim"))
    return branch


def _telling(siblings: Sequence[Component]) -> list[Component]:
    """Those worth a line when there are too many: first what is not as it should be."""
    troubled = [one for one in siblings if one.state.name != "RUNNING" or one.restarts]
    calm = [one for one in siblings if one not in troubled]
    return (troubled + calm)[:FOLDED]


def _label(component: Component, parent: str) -> Text:
    name = component.id.removeprefix(f"{parent}/") if parent else component.id
    restarts = f"  {component.restarts} restarts" if component.restarts else ""
    return Text.assemble(
        (name, "bold"),
        "  ",
        state_text(component.state),
        (restarts, "yellow"),
        (f"  {component.last_error}" if component.last_error else "", "red"),
    )
