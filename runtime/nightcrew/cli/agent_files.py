"""`nightcrew agents apply|edit`: agents from files, and one agent in an editor."""

import asyncio
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from nightcrew.cli import manifests, views
from nightcrew.cli.agents import AgentId, app
from nightcrew.cli.connection import Session, control
from nightcrew.cli.inputs import labels
from nightcrew.cli.output import Format, short, to_yaml
from nightcrew.cli.refusal import DONE, REFUSED, WRONG_USE, WrongUse
from nightcrew.client.errors import InvalidArgument, NightcrewClientError
from nightcrew.client.models.agent import Agent, AgentChange, ChangeAction
from nightcrew.domain.yaml_text import YamlFault, documents

_SIGNS = {ChangeAction.CREATED: "+", ChangeAction.UPDATED: "~", ChangeAction.DELETED: "-"}
_COLOURS = {"+": "green", "~": "yellow", "-": "red", "@": "cyan"}
_OWN = ("display_name", "description", "labels", "spec")
_HEAD = """\
# The agent {id!r}. Save and leave to change it; leave it as it is to change nothing.
# Its state, and what else the runtime keeps, is not edited here.
"""


@control(app, "apply")
async def apply(
    session: Session,
    *,
    file: Annotated[
        list[Path], typer.Option("--file", "-f", help="A YAML manifest, a folder of them, or - for stdin.")
    ],
    prune: Annotated[
        list[str] | None,
        typer.Option(
            "--prune", metavar="KEY=VALUE", help="Delete agents that have these labels and are in no file."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False,
) -> int:
    """Make the agents be as the files say: show what changes, ask, then do it, all or nothing.

    A manifest is the JSON of an Agent written as YAML; a file may hold several documents. On a terminal it asks
    before it changes anything; without one it goes on.

    Examples:
      nightcrew agents apply -f agents/
      nightcrew agents apply -f agents/ --prune team=ops --dry-run
      nightcrew agents apply -f digest.yaml --yes
    """
    found = manifests.load(file)
    wanted = [one.data for one in found]
    selector = labels(prune or (), "--prune")
    if prune and not selector:
        raise WrongUse("--prune", "name at least one label")
    agents = session.client.agents
    try:
        changes = await agents.apply(wanted, prune_selector=selector, validate_only=True)
        _show(session, changes)
        changing = [one for one in changes if one.action is not ChangeAction.UNCHANGED]
        if dry_run or not changing:
            return DONE
        if sys.stdin.isatty() and not yes and not typer.confirm("Do it?", err=True):
            session.printer.remark("nothing was changed")
            return REFUSED
        done = await agents.apply(wanted, prune_selector=selector)
    except InvalidArgument as error:
        raise manifests.refuse(error, found) from None
    session.printer.remark(_summary(done))
    await _tell_hooks(session, wanted, done)
    return DONE


@control(app, "edit")
async def edit(
    session: Session,
    agent: AgentId,
    *,
    editor: Annotated[
        str, typer.Option(envvar=["NIGHTCREW_EDITOR", "VISUAL", "EDITOR"], help="The editor to open.")
    ] = "vi",
) -> int:
    """Edit an agent as YAML in your editor. What somebody else changed meanwhile is not overwritten.

    Examples:
      nightcrew agents edit digest
      EDITOR="code --wait" nightcrew agents edit digest
    """
    before = await session.client.agents.get(agent)
    text = _HEAD.format(id=agent) + to_yaml(_editable(before))
    path = await asyncio.to_thread(_written, agent, text)
    await _edited(editor, path)
    changed = await asyncio.to_thread(path.read_text, encoding="utf-8")
    try:
        after = _parsed(changed, path)
        mask = _mask(_editable(before), after)
        if not mask:
            path.unlink()
            session.printer.remark("nothing was changed")
            return DONE
        made = await session.client.agents.update(agent, after, mask=mask, etag=before.etag)
    except (NightcrewClientError, typer.Exit):
        print(f"nightcrew: your text is kept in {path}", file=sys.stderr)
        raise
    path.unlink()
    session.printer.one(made, views.agent_rows(made))
    return DONE


def _show(session: Session, changes: tuple[AgentChange, ...]) -> None:
    printer = session.printer
    if printer.format is not Format.TABLE:
        printer.value(changes)
        return
    for change in changes:
        sign = _SIGNS.get(change.action)
        if sign is None:
            continue
        printer.console.print(
            Text(f"{sign} {change.id} {short(change.action).lower()}", style=_COLOURS[sign])
        )
        for line in change.diff.splitlines():
            printer.console.print(Text(f"    {line}", style=_COLOURS.get(line[:1], "")), soft_wrap=True)
    if all(one.action is ChangeAction.UNCHANGED for one in changes):
        printer.remark("nothing changes")


async def _tell_hooks(session: Session, wanted: list[dict[str, Any]], done: tuple[AgentChange, ...]) -> None:
    """Says where the hooks of what was written are: whoever applies them has their senders to set up."""
    written = {one.id for one in done if one.action in {ChangeAction.CREATED, ChangeAction.UPDATED}}
    for data in wanted:
        triggers = (data.get("spec") or {}).get("triggers") or ()
        if data.get("id") in written and any("webhook" in one for one in triggers):
            agent = await session.client.agents.get(data["id"])
            for line in views.hooks(agent):
                session.printer.remark(f"{agent.id}: {line}")


def _summary(changes: tuple[AgentChange, ...]) -> str:
    counts = {
        one: sum(change.action is one for change in changes) for one in (*_SIGNS, ChangeAction.UNCHANGED)
    }
    return ", ".join(f"{count} {short(action).lower()}" for action, count in counts.items() if count)


def _editable(agent: Agent) -> dict[str, Any]:
    """What people write of an agent."""
    return {
        "display_name": agent.display_name,
        "description": agent.description,
        "labels": dict(agent.labels),
        "spec": agent.spec,
    }


def _mask(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The paths that differ; of a spec its parts, so that one part's change asks nothing of the others."""
    paths = [name for name in _OWN[:3] if (before[name] or None) != (after.get(name) or None)]
    old, new = before["spec"], after.get("spec") or {}
    if not isinstance(new, dict):
        return [*paths, "spec"]
    return paths + [f"spec.{name}" for name in {**old, **new} if old.get(name) != new.get(name)]


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        found = list(documents(text))
    except YamlFault as fault:
        print(f"nightcrew: {path}:{fault.line}: {fault.what}", file=sys.stderr)
        raise typer.Exit(WRONG_USE) from None
    if len(found) != 1 or not isinstance(found[0].value, dict):
        print(f"nightcrew: {path}: must be one document: the fields of the agent", file=sys.stderr)
        raise typer.Exit(WRONG_USE)
    value: dict[str, Any] = found[0].value
    if unknown := sorted(set(value) - set(_OWN)):
        where = found[0].line(unknown[0])
        print(
            f"nightcrew: {path}:{where}: {unknown[0]} can't be edited; {', '.join(_OWN)} can", file=sys.stderr
        )
        raise typer.Exit(WRONG_USE)
    return value


def _written(agent: str, text: str) -> Path:
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"{agent}-", suffix=".yaml", delete=False, encoding="utf-8"
    ) as file:
        file.write(text)
    return Path(file.name)


async def _edited(editor: str, path: Path) -> None:
    try:
        process = await asyncio.create_subprocess_exec(*shlex.split(editor), str(path))
    except (OSError, ValueError) as error:
        raise WrongUse("--editor", f"{editor!r} can't be started: {error}") from None
    if code := await process.wait():
        raise WrongUse("--editor", f"{editor!r} ended with code {code}; nothing was changed")
