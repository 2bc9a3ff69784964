"""`nightcrew executions`: list, get, steps, cancel, retry, signal, signal-url and watch."""

from typing import Annotated

import typer

from nightcrew.cli import views
from nightcrew.cli.agents import LimitOption, OrderOption
from nightcrew.cli.bulk import do_to_all
from nightcrew.cli.connection import Session, control
from nightcrew.cli.durations import duration
from nightcrew.cli.happenings import Happenings
from nightcrew.cli.inputs import all_of, any_of, filter_option, json_value, member, quoted
from nightcrew.cli.refusal import DONE, WrongUse
from nightcrew.client.models.execution import ExecutionState

app = typer.Typer(no_args_is_help=True, help="Executions: what ran, what runs, and what it said.")

FilterOption = Annotated[str, filter_option('trigger.kind = "KIND_SCHEDULE" AND attempt > 1')]
AllOption = Annotated[str, filter_option('agent_id = "digest" AND state = "STATE_FAILED"')]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="With --filter: only count.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="With --filter: do it without asking.")]
ExecutionId = Annotated[str, typer.Argument(metavar="EXECUTION", help="The execution's id.")]


@control(app, "list")
async def list_executions(
    session: Session,
    *,
    filter_: FilterOption = "",
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only those in this state: running, failed…")
    ] = None,
    agent: Annotated[list[str] | None, typer.Option("--agent", help="Only those of this agent.")] = None,
    limit: LimitOption = 50,
    order_by: OrderOption = "create_time desc",
) -> None:
    """List executions, newest first.

    Examples:
      nightcrew executions list --agent digest
      nightcrew executions list --state waiting
      nightcrew executions list --state failed --state timed_out --limit 10
      nightcrew executions list --filter 'create_time > "2026-01-01T00:00:00Z"' --output json
    """
    states = [member(ExecutionState, one, "--state") for one in state or ()]
    where = all_of(filter_, any_of("state", states), any_of("agent_id", agent or ()))
    found, more = await session.client.executions.list(filter=where, order_by=order_by).take(limit)
    waiting = states == [ExecutionState.WAITING]
    session.printer.many(found, views.WAITING if waiting else views.EXECUTIONS)
    if more:
        session.printer.remark(f"there are more than {limit}: --limit 0 shows all")


@control(app, "get")
async def get(session: Session, execution: ExecutionId) -> None:
    """Show one execution: its state, its input, its result or its error.

    Examples:
      nightcrew executions get 0198c0de-0000-7000-8000-000000000001
    """
    found = await session.client.executions.get(execution)
    session.printer.one(found, views.execution_rows(found))


@control(app, "steps")
async def steps(session: Session, execution: ExecutionId, *, limit: LimitOption = 0) -> None:
    """List the durable steps of an execution, in the order in which they began.

    Examples:
      nightcrew executions steps 0198c0de-0000-7000-8000-000000000001
    """
    found, _ = await session.client.executions.steps(execution).take(limit)
    session.printer.many(found, views.STEPS)


@control(app, "cancel")
async def cancel(
    session: Session,
    execution: Annotated[
        list[str] | None, typer.Argument(metavar="EXECUTION", help="The executions' ids.")
    ] = None,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why, for people; the execution keeps it.")] = "",
    filter_: AllOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> int:
    """Cancel executions. One that runs is told, and killed after its grace; one that has ended stays as it is.

    With --filter all that it finds, asked about before.

    Examples:
      nightcrew executions cancel 0198c0de-0000-7000-8000-000000000001 --reason "wrong day"
      nightcrew executions cancel --filter 'agent_id = "digest" AND state = "STATE_QUEUED"' --dry-run
    """
    _one_way(bool(execution), filter_, dry_run=dry_run)
    if filter_:
        client = session.client.executions
        return await do_to_all(
            session,
            "cancelled",
            lambda only: client.cancel_all(filter_, reason=reason, validate_only=only),
            dry_run=dry_run,
            yes=yes,
        )
    cancelled = [await session.client.executions.cancel(one, reason=reason) for one in execution or ()]
    if len(cancelled) == 1:
        session.printer.one(cancelled[0], views.execution_rows(cancelled[0]))
    else:
        session.printer.many(cancelled, views.EXECUTIONS)
    return DONE


@control(app, "retry")
async def retry(
    session: Session,
    execution: Annotated[
        str, typer.Argument(metavar="EXECUTION", help="The execution's id.", show_default=False)
    ] = "",
    *,
    from_step: Annotated[
        str,
        typer.Option(
            "--from-step", metavar="NAME[#N]", help="From this step on; those before are not run again."
        ),
    ] = "",
    filter_: AllOption = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> int:
    """Run an execution that has ended once more, as a new one.

    With --filter all that it finds, each once, asked about before.

    Examples:
      nightcrew executions retry 0198c0de-0000-7000-8000-000000000001
      nightcrew executions retry 0198c0de-0000-7000-8000-000000000001 --from-step fetch#2
      nightcrew executions retry --filter 'agent_id = "digest" AND state = "STATE_FAILED"'
    """
    _one_way(bool(execution), filter_, dry_run=dry_run)
    if filter_:
        if from_step:
            raise WrongUse("--from-step", "is for one execution; leave out --filter")
        client = session.client.executions
        return await do_to_all(
            session,
            "retried",
            lambda only: client.retry_all(filter_, validate_only=only),
            dry_run=dry_run,
            yes=yes,
        )
    made = await session.client.executions.retry(execution, from_step=_step(from_step))
    session.printer.one(made, views.execution_rows(made))
    return DONE


@control(app, "signal")
async def signal(
    session: Session,
    execution: ExecutionId,
    name: Annotated[str, typer.Argument(metavar="SIGNAL", help="The signal's name.")],
    *,
    payload: Annotated[
        str | None, typer.Option("--payload", metavar="JSON|@FILE|-", help="What the waiting program gets.")
    ] = None,
) -> None:
    """Send a signal to an execution, which keeps it until it waits for it.

    Examples:
      nightcrew executions signal 0198c0de-0000-7000-8000-000000000001 approve --payload '{"by": "ann"}'
    """
    value = None if payload is None else json_value(payload, "--payload")
    found = await session.client.executions.signal(execution, name, value)
    session.printer.one(found, views.execution_rows(found))


@control(app, "signal-url")
async def signal_url(
    session: Session,
    execution: ExecutionId,
    name: Annotated[str, typer.Argument(metavar="SIGNAL", help="The signal's name.")],
    *,
    payload: Annotated[
        str | None,
        typer.Option(
            "--payload",
            metavar="JSON|@FILE|-",
            help="What the signal brings, whatever is sent to the address.",
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long it is good for.")
    ] = "7d",
) -> None:
    """Make a one-time address that sends a signal: for an approval by mail or chat.

    GET shows a page that asks and uses nothing up; POST, or the page's button, answers, once.

    Examples:
      nightcrew executions signal-url 0198c0de-0000-7000-8000-000000000001 approve
      nightcrew executions signal-url 0198c0de-0000-7000-8000-000000000001 approve --payload '{"ok": true}' --expires 2h
    """
    value = ... if payload is None else json_value(payload, "--payload")
    made = await session.client.executions.signal_url(
        execution, name, payload=value, ttl=duration(expires, "--expires")
    )
    session.printer.one(made, {"url": made.url, "expires": made.expire_time})


@control(app, "watch")
async def watch(
    session: Session,
    execution: ExecutionId,
    *,
    resume: Annotated[
        str, typer.Option("--resume", metavar="TOKEN", help="Go on after an earlier watch.")
    ] = "",
) -> None:
    """Show what happens to an execution and what it says, until it has ended.

    It survives restarts of the runtime. With --output json it is a line an item.

    Examples:
      nightcrew executions watch 0198c0de-0000-7000-8000-000000000001
    """
    happenings = Happenings(session.printer)
    watching = session.client.executions.watch(execution, include_snapshot=True, resume_token=resume)
    async with watching:
        async for item in watching:
            happenings.show(item)
    happenings.end()


def _one_way(named: bool, found: str, *, dry_run: bool) -> None:
    if named and found:
        raise WrongUse("--filter", "finds executions by itself; leave out their ids")
    if not named and not found:
        raise WrongUse("EXECUTION", "name an execution, or all of some kind with --filter")
    if dry_run and not found:
        raise WrongUse("--dry-run", "counts what --filter finds; give one")


def _step(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    name, mark, ordinal = text.rpartition("#")
    if not mark:
        return text, 0
    if not name or not ordinal.isdecimal():
        raise WrongUse("--from-step", f"{text!r} is no step; write NAME or {quoted('NAME#2')}")
    return name, int(ordinal)
