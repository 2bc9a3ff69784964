"""How each noun looks in a table, and line by line when it is shown alone."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from nightcrew.cli.durations import length
from nightcrew.cli.output import Column, moment, short
from nightcrew.client.models.agent import Agent, LimitUsage
from nightcrew.client.models.execution import Execution, ExecutionProgress
from nightcrew.client.models.schedule import Backfill, Fire
from nightcrew.client.models.step import Progress, Step


def took(one: Execution | Step) -> str | None:
    """How long something ran, once it has ended."""
    if one.start_time is None or one.end_time is None:
        return None
    return length(max(one.end_time - one.start_time, timedelta()))


def _next_fire(agent: Agent) -> Any:
    fires = agent.status.next_fires
    return fires[0].time if fires else None


def _last(agent: Agent) -> Any:
    last = agent.status.last_execution
    return last.state if last else None


AGENTS = (
    Column("ID", lambda one: one.id),
    Column("STATE", lambda one: one.state),
    Column("RUNNING", lambda one: one.status.running_count, right=True),
    Column("QUEUED", lambda one: one.status.queued_count, right=True),
    Column("LAST", _last),
    Column("NEXT FIRE", _next_fire),
    Column("PROGRAM", lambda one: program(one.spec), wide=True),
    Column("LABELS", lambda one: one.labels, wide=True),
    Column("REASON", lambda one: one.state_reason, wide=True),
)

EXECUTIONS = (
    Column("ID", lambda one: one.id),
    Column("AGENT", lambda one: one.agent_id),
    Column("STATE", lambda one: one.state),
    Column("CREATED", lambda one: one.create_time),
    Column("TOOK", took, wide=True),
    Column("ATTEMPT", lambda one: one.attempt, wide=True, right=True),
    Column("TRIGGER", lambda one: one.trigger.trigger_id or short(one.trigger.kind).lower(), wide=True),
    Column("ERROR", lambda one: one.error.type if one.error else None, wide=True),
)

WAITING = (
    Column("ID", lambda one: one.id),
    Column("AGENT", lambda one: one.agent_id),
    Column("WAITS FOR", lambda one: one.wait.message if one.wait else None),
    Column("UNTIL", lambda one: one.wait.until if one.wait else None),
    Column("SIGNAL", lambda one: one.wait.signal if one.wait else None),
    Column("CREATED", lambda one: one.create_time, wide=True),
)

STEPS = (
    Column("STEP", lambda one: f"{one.name}#{one.ordinal}" if one.ordinal else one.name),
    Column("STATE", lambda one: one.state),
    Column("TRIES", lambda one: one.attempts, right=True),
    Column("STARTED", lambda one: one.start_time),
    Column("TOOK", took),
    Column("ERROR", lambda one: one.error.type if one.error else None),
)

FIRES = (
    Column("AGENT", lambda one: one.agent_id),
    Column("TRIGGER", lambda one: one.trigger_id),
    Column("NOMINAL", lambda one: one.nominal_time),
    Column("OUTCOME", lambda one: one.outcome),
    Column("COUNT", lambda one: one.count, right=True),
    Column("EXECUTION", lambda one: one.execution_id, wide=True),
    Column("DECIDED", lambda one: one.actual_time, wide=True),
    Column("REASON", lambda one: one.reason, wide=True),
)

PREVIEWED = (
    Column(
        "NOMINAL (UTC)",
        lambda one: one.nominal_time.strftime("%Y-%m-%d %H:%M:%S") if one.nominal_time else None,
    ),
    Column("HERE", lambda one: moment(one.nominal_time) if one.nominal_time else None),
    Column("NOTE", lambda one: one.note),
)

EVENTS = (
    Column("SEQUENCE", lambda one: one.sequence, right=True),
    Column("TIME", lambda one: one.time),
    Column("TYPE", lambda one: one.type),
    Column("SOURCE", lambda one: one.source),
    Column("SUBJECT", lambda one: one.subject, wide=True),
    Column("ID", lambda one: one.id, wide=True),
)

PUBLISHED = (
    Column("SEQUENCE", lambda one: one.sequence, right=True),
    Column("DEDUPLICATED", lambda one: one.deduplicated),
)

DELIVERIES = (
    Column("HOOK", lambda one: one.hook),
    Column("SEQUENCE", lambda one: one.sequence, right=True),
    Column("TYPE", lambda one: one.event_type),
    Column("STATE", lambda one: one.state),
    Column("ATTEMPTS", lambda one: one.attempts, right=True),
    Column("LAST", lambda one: one.last_attempt_time),
    Column("NEXT", lambda one: one.next_attempt_time),
    Column("REASON", lambda one: one.reason),
)

LIFECYCLE = (
    Column("ID", lambda one: one.id),
    Column("STATE", lambda one: one.agent.state if one.agent else None),
    Column("REFUSED", lambda one: one.error.message if one.error else None),
)


def agent_rows(agent: Agent) -> Mapping[str, Any]:
    """An agent's facts."""
    status = agent.status
    last = status.last_execution
    return {
        "id": agent.id,
        "name": agent.display_name,
        "description": agent.description,
        "state": agent.state,
        "reason": agent.state_reason,
        "since": agent.state_time,
        "program": program(agent.spec),
        "labels": agent.labels,
        "running": status.running_count,
        "queued": status.queued_count,
        "failures in a row": status.consecutive_failures or None,
        "fires overdue": status.overdue_count or None,
        "filter errors": status.filter_errors or None,
        "last filter error": status.last_filter_error or None,
        "limits": [limit(one) for one in status.limits],
        "restarts": status.restarts or None,
        "next fires": [
            f"{one.trigger_id}  {moment(one.time) if one.time else ''}" for one in status.next_fires
        ],
        "hooks": hooks(agent),
        "last execution": f"{last.id}  {short(last.state)}" if last else None,
        "generation": agent.generation,
        "etag": agent.etag,
        "created": agent.create_time,
        "updated": agent.update_time,
        "spec": agent.spec,
    }


def limit(one: LimitUsage) -> str:
    """How far an agent is with a limit: `usd  1.2 of 5  day, until …`."""
    until = f", until {moment(one.window_end)}" if one.window_end else ""
    return f"{one.name}  {one.used:g} of {one.max:g}  {short(one.per).lower()}{until}"


def hooks(agent: Agent) -> list[str]:
    """Where the world can reach it: the path and the scheme of each webhook trigger."""
    return [
        f"POST /hooks/{agent.id}/{one['id']}  {_scheme(one)}"
        for one in agent.spec.get("triggers", ())
        if "webhook" in one
    ]


def _scheme(trigger: Mapping[str, Any]) -> str:
    scheme = trigger["webhook"].get("scheme", "SCHEME_STANDARD").removeprefix("SCHEME_").lower()
    return f"{scheme}, disabled" if trigger.get("disabled") else scheme


def progress_text(one: ExecutionProgress | Progress) -> str:
    """`3 of 10 (30 %), rows read`; the total where it is known."""
    share = f" of {one.total:,.12g} ({one.done / one.total:.0%})" if one.total else ""
    return f"{one.done:,.12g}{share}{f': {one.message}' if one.message else ''}"


def execution_rows(execution: Execution) -> Mapping[str, Any]:
    """An execution's facts."""
    trigger = execution.trigger
    error = execution.error
    wait = execution.wait
    return {
        "id": execution.id,
        "agent": execution.agent_id,
        "state": execution.state,
        "attempt": execution.attempt,
        "generation": execution.agent_generation,
        "trigger": f"{short(trigger.kind).lower()} {trigger.trigger_id}".strip(),
        "nominal time": trigger.nominal_time,
        "event": trigger.event_id,
        "cause": trigger.cause_execution_id,
        "event sequence": trigger.event_sequence or None,
        "chain depth": trigger.chain_depth or None,
        "priority": execution.priority or None,
        "labels": execution.labels,
        "created": execution.create_time,
        "started": execution.start_time,
        "ended": execution.end_time,
        "took": took(execution),
        "next attempt": execution.next_attempt_time,
        "interruptions": execution.interruptions or None,
        "cancel": (execution.cancel_reason or "requested") if execution.cancel_requested else None,
        "waits for": f"{short(wait.kind).lower()} {wait.signal} {wait.message}".strip() if wait else None,
        "until": wait.until if wait else None,
        "progress": progress_text(execution.progress) if execution.progress else None,
        "input": execution.input,
        "result": execution.result,
        "error": f"{error.type}: {error.message}" if error else None,
        "traceback": error.traceback.rstrip("\n") if error else None,
    }


def backfill_rows(backfill: Backfill) -> Mapping[str, Any]:
    """A backfill's facts."""
    return {
        "id": backfill.id,
        "agent": backfill.agent_id,
        "trigger": backfill.trigger_id,
        "from": backfill.from_time,
        "to": backfill.to_time,
        "overlap": short(backfill.overlap),
        "state": backfill.state,
        "started": f"{backfill.started} of {backfill.total}",
        "deduplicated": backfill.deduplicated,
        "reason": backfill.reason,
    }


def fire_rows(fire: Fire) -> Mapping[str, Any]:
    """The facts of a row of the ledger."""
    return {
        "agent": fire.agent_id,
        "trigger": fire.trigger_id,
        "nominal time": fire.nominal_time,
        "outcome": fire.outcome,
        "reason": fire.reason,
    }


def program(spec: Mapping[str, Any]) -> str:
    """What an agent runs, in a few words: `python jobs:digest`."""
    for kind, one in spec.get("program", {}).items():
        named = one.get("entrypoint") or one.get("flow") or one.get("url") or " ".join(one.get("argv", ()))
        return f"{kind} {named}"
    return ""
