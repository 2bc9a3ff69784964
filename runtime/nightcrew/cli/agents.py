"""`nightcrew agents`: list, get, create, delete, trigger and watch."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from nightcrew.cli import views
from nightcrew.cli.connection import Session, control
from nightcrew.cli.durations import duration, optional_duration
from nightcrew.cli.happenings import Happenings
from nightcrew.cli.inputs import all_of, any_of, filter_option, json_object, labels, member, quoted
from nightcrew.cli.manifests import load
from nightcrew.cli.output import short
from nightcrew.cli.refusal import WrongUse
from nightcrew.client.models.agent import AgentState
from nightcrew.client.models.json_form import format_duration

app = typer.Typer(no_args_is_help=True, help="Agents: what runs, and when.")

AgentId = Annotated[str, typer.Argument(metavar="AGENT", help="The agent's id.")]
FilterOption = Annotated[str, filter_option('labels.team = "ops" AND generation > 3')]
LimitOption = Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0 for all.")]
OrderOption = Annotated[
    str, typer.Option("--order-by", help="A field, and desc where wanted: create_time desc.")
]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", metavar="KEY=VALUE", help="A label; may be given many times."),
]


@control(app, "list")
async def list_agents(
    session: Session,
    *,
    filter_: FilterOption = "",
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only those in this state: active, error…")
    ] = None,
    label: LabelsOption = None,
    limit: LimitOption = 0,
    order_by: OrderOption = "id",
) -> None:
    """List agents, with what they are doing now.

    Examples:
      nightcrew agents list
      nightcrew agents list --state error --output json
      nightcrew agents list -l team=ops --filter 'create_time > "2026-01-01T00:00:00Z"'
    """
    states = [member(AgentState, one, "--state") for one in state or ()]
    chosen = [
        f"labels.{quoted(key)} = {quoted(value)}" for key, value in labels(label or (), "--label").items()
    ]
    pages = session.client.agents.list(
        filter=all_of(filter_, any_of("state", states), *chosen), order_by=order_by
    )
    found, more = await pages.take(limit)
    session.printer.many(found, views.AGENTS)
    if more:
        session.printer.remark(f"there are more than {limit}: --limit 0 shows all")


@control(app, "get")
async def get(session: Session, agent: AgentId) -> None:
    """Show one agent: its state, what it is doing, and its spec.

    Examples:
      nightcrew agents get digest
      nightcrew agents get digest --output yaml
    """
    found = await session.client.agents.get(agent)
    session.printer.one(found, views.agent_rows(found))


@control(app, "create")
async def create(
    session: Session,
    agent: Annotated[
        str, typer.Argument(metavar="AGENT", help="The id: a-z, 0-9 and -; made when left out.")
    ] = "",
    *,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A YAML manifest with this one agent; - for stdin.")
    ] = None,
    entrypoint: Annotated[
        str, typer.Option(help="A Python function that `up` was given: module:object.")
    ] = "",
    flow: Annotated[str, typer.Option(help="A Langflow flow that `up` was given: its file's stem.")] = "",
    cron: Annotated[
        list[str] | None, typer.Option(help="Fires by this cron expression; many times if wanted.")
    ] = None,
    every: Annotated[
        list[str] | None, typer.Option(metavar="DURATION", help="Fires every 10s, 5m, 2h.")
    ] = None,
    tz: Annotated[str, typer.Option("--tz", help="The time zone of --cron, such as Europe/Berlin.")] = "",
    input_: Annotated[
        str | None, typer.Option("--input", metavar="JSON|@FILE|-", help="The input of every execution.")
    ] = None,
    attempt: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="How long one attempt may run.")
    ] = None,
    label: LabelsOption = None,
    display_name: Annotated[str, typer.Option(help="A name for people.")] = "",
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    start: Annotated[bool, typer.Option("--start", help="Start it too; else it is STOPPED.")] = False,
) -> None:
    """Make an agent, of flags or of a manifest. It runs nothing until it is started.

    Examples:
      nightcrew agents create digest --entrypoint jobs:digest --cron "0 9 * * mon-fri" --tz Europe/Berlin
      nightcrew agents create echo --flow prompt_echo --every 10m --start
      nightcrew agents create -f digest.yaml
    """
    agents = session.client.agents
    if file is not None:
        if entrypoint or flow or cron or every or input_ or attempt:
            raise WrongUse("--file", "the manifest says what the agent is; give no other flags")
        wanted = _only_manifest(file, agent)
    else:
        wanted = {"id": agent, "spec": _spec(entrypoint, flow, cron or [], every or [], tz)}
        wanted["spec"]["input"] = json_object(input_, "--input")
        if attempt is not None:
            wanted["spec"]["execution"] = {"timeout": format_duration(duration(attempt, "--timeout"))}
    made = await agents.create(
        wanted.get("id", ""),
        wanted.get("spec", {}),
        display_name=display_name or wanted.get("display_name", ""),
        description=description or wanted.get("description", ""),
        labels={**wanted.get("labels", {}), **labels(label or (), "--label")},
    )
    if start:
        made = await agents.start(made.id)
    session.printer.one(made, {"agent": made.id, "state": made.state})


@control(app, "delete")
async def delete(
    session: Session,
    agent: Annotated[list[str], typer.Argument(metavar="AGENT", help="The agents' ids.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Stop it first, whatever runs.")] = False,
) -> None:
    """Delete agents, with their executions, logs and ledger. Each must be STOPPED, or --force.

    Examples:
      nightcrew agents delete digest
      nightcrew agents delete digest echo --force
    """
    for one in agent:
        left = await session.client.agents.delete(one, force=force)
        gone = f"{one} is deleted" if left is None else f"{one} is {short(left.state)}, then deleted"
        session.printer.remark(gone)


@control(app, "trigger")
async def trigger(
    session: Session,
    agent: AgentId,
    *,
    input_: Annotated[
        str | None,
        typer.Option(
            "--input",
            "-i",
            metavar="JSON|@FILE|-",
            help="Merged over the agent's input: JSON, a file, stdin.",
        ),
    ] = None,
    wait: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Wait so long for its end before answering: 10s, 5m."),
    ] = None,
    label: LabelsOption = None,
    priority: Annotated[int, typer.Option(help="Higher goes first among those that wait.")] = 0,
    follow: Annotated[bool, typer.Option("--follow", help="Show what it says until it has ended.")] = False,
) -> None:
    """Run an agent now, by hand, and show the execution.

    Examples:
      nightcrew agents trigger digest
      nightcrew agents trigger digest --input '{"day": "monday"}' --wait 10s
      cat order.json | nightcrew agents trigger digest --input - --label source=cli
      nightcrew agents trigger digest --input @order.json --follow
    """
    length = optional_duration(wait, "--wait")
    client = session.client
    made = await client.agents.trigger(
        agent,
        json_object(input_, "--input"),
        labels=labels(label or (), "--label"),
        priority=priority,
        wait=length if length and length > timedelta() else None,
    )
    if follow:
        happenings = Happenings(session.printer)
        async with client.executions.watch(made.id, include_snapshot=True) as watch:
            async for item in watch:
                happenings.show(item)
        happenings.end()
        made = await client.executions.get(made.id)
    session.printer.one(made, views.execution_rows(made))


@control(app, "watch")
async def watch_agents(
    session: Session,
    agent: Annotated[list[str] | None, typer.Argument(metavar="AGENT", help="Only these agents.")] = None,
    *,
    label: LabelsOption = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="Begin with the agents as they are.")] = False,
    resume: Annotated[
        str, typer.Option("--resume", metavar="TOKEN", help="Go on after an earlier watch.")
    ] = "",
) -> None:
    """Show what happens to agents and their executions as it happens; Ctrl-C ends it.

    It survives restarts of the runtime, and misses and repeats nothing. With --output json it is a line an item.

    Examples:
      nightcrew agents watch
      nightcrew agents watch digest echo --snapshot
      nightcrew agents watch -l team=ops --output json
    """
    happenings = Happenings(session.printer)
    watch = session.client.agents.watch(
        ids=agent or (),
        selector=labels(label or (), "--label"),
        include_snapshot=snapshot,
        resume_token=resume,
    )
    async with watch:
        async for item in watch:
            happenings.show(item)


def _only_manifest(file: Path, agent: str) -> dict[str, Any]:
    manifests = load([file])
    if len(manifests) != 1:
        raise WrongUse("--file", f"{file} holds {len(manifests)} agents; apply takes many")
    wanted = dict(manifests[0].data)
    if agent and wanted.setdefault("id", agent) != agent:
        raise WrongUse("AGENT", f"the manifest is of {wanted['id']!r}, not {agent!r}")
    return wanted


def _spec(entrypoint: str, flow: str, crons: list[str], everies: list[str], zone: str) -> dict[str, Any]:
    """A spec of flags; triggers are named as `up` names them: cron, cron-2, interval and so on."""
    if bool(entrypoint) == bool(flow):
        raise WrongUse("--entrypoint", "give one of --entrypoint, --flow and --file")
    program: dict[str, Any] = (
        {"python": {"entrypoint": entrypoint}} if entrypoint else {"langflow": {"flow": flow}}
    )
    triggers: list[dict[str, Any]] = []
    for number, expression in enumerate(crons, 1):
        schedule: dict[str, Any] = {"cron": {"expression": expression}}
        if zone:
            schedule["time_zone"] = zone
        triggers.append({"id": _numbered("cron", number), "schedule": schedule})
    for number, text in enumerate(everies, 1):
        interval = {"every": format_duration(duration(text, "--every"))}
        triggers.append({"id": _numbered("interval", number), "schedule": {"interval": interval}})
    return {"program": program, "triggers": triggers}


def _numbered(kind: str, number: int) -> str:
    return kind if number == 1 else f"{kind}-{number}"
