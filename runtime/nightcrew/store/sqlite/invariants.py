"""What must be true of a store's rows besides what SQLite keeps: asked of the file as it stands, one query each."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule.

    Attributes:
        name: For programs.
        broken: Counts the rows that break it, and gives up to three of their names.
        meaning: What such a row is.
        grave: Whether it can lose or repeat work; else it is litter.
    """

    name: str
    broken: str
    meaning: str
    grave: bool = True


def _rule(name: str, meaning: str, rows: str, *, key: str = "id", grave: bool = True) -> Invariant:
    sql = f"SELECT count(*), (SELECT group_concat(k, ', ') FROM (SELECT {key} AS k {rows} LIMIT 3)) {rows}"  # noqa: S608 - ours
    return Invariant(name, sql, meaning, grave)


_FINAL: Final = "('STATE_SUCCEEDED', 'STATE_FAILED', 'STATE_CANCELLED', 'STATE_TIMED_OUT')"
_ORPHANS: Final = (
    ("executions", "agent_id", "id"),
    ("schedule_cursors", "agent_id", "agent_id"),
    ("event_triggers", "agent_id", "agent_id"),
    ("webhook_secrets", "agent_id", "agent_id"),
    ("agent_memory", "agent_id", "agent_id"),
)

INVARIANTS: Final = (
    _rule(
        "final_has_end",
        "executions that are final without an end, or have an end and are not final",
        f"FROM executions WHERE (state IN {_FINAL}) != (end_time IS NOT NULL)",
    ),
    _rule(
        "run_has_lease",
        "executions that run without a lease or an attempt",
        "FROM executions WHERE end_time IS NULL AND state = 'STATE_RUNNING' AND (lease < 1 OR attempt < 1 OR"
        " started = 0)",
    ),
    _rule(
        "waiting_has_wait",
        "executions that are WAITING for nothing: they never wake",
        "FROM executions WHERE end_time IS NULL AND state = 'STATE_WAITING'"
        " AND NOT EXISTS (SELECT 1 FROM waits WHERE execution = executions.seq)",
    ),
    _rule(
        "wait_is_waited",
        "waits of executions that are not WAITING",
        "FROM waits WHERE NOT EXISTS"
        " (SELECT 1 FROM executions AS e WHERE e.seq = waits.execution AND e.state = 'STATE_WAITING')",
        key="execution",
    ),
    _rule(
        "wait_has_step",
        "executions that wait for what is not in their journal",
        "FROM waits WHERE kind IN ('KIND_SLEEP', 'KIND_SIGNAL', 'KIND_EVENT', 'KIND_CALL')"
        " AND NOT EXISTS (SELECT 1 FROM steps AS s WHERE s.execution = waits.execution)",
        key="execution",
    ),
    _rule(
        "retry_has_time",
        "executions that are RETRYING without a time: they never wake",
        "FROM executions WHERE state = 'STATE_RETRYING' AND next_attempt_time IS NULL",
    ),
    _rule(
        "journal_is_whole",
        "executions whose journal has entries and is said to have none: their steps would run again",
        "FROM executions WHERE end_time IS NULL AND steps = 0"
        " AND EXISTS (SELECT 1 FROM steps WHERE execution = executions.seq)",
    ),
    _rule(
        "journal_has_execution",
        "entries of journals whose execution is gone",
        "FROM steps WHERE NOT EXISTS (SELECT 1 FROM executions WHERE seq = steps.execution)",
        key="execution",
        grave=False,
    ),
    _rule(
        "log_has_execution",
        "entries of logs whose execution is gone",
        "FROM logs WHERE NOT EXISTS (SELECT 1 FROM executions WHERE seq = logs.execution)",
        key="execution",
        grave=False,
    ),
    _rule(
        "signal_has_execution",
        "signals whose execution is gone",
        "FROM signals WHERE NOT EXISTS (SELECT 1 FROM executions WHERE seq = signals.execution)",
        key="execution",
        grave=False,
    ),
    _rule(
        "progress_has_execution",
        "progress whose execution is gone",
        "FROM progress WHERE NOT EXISTS (SELECT 1 FROM executions WHERE seq = progress.execution)",
        key="execution",
        grave=False,
    ),
    _rule(
        "buffered_is_open",
        "times in the ledger that are BUFFERED, whose execution is not in a backlog",
        "FROM fires WHERE outcome = 'OUTCOME_BUFFERED' AND NOT EXISTS"
        " (SELECT 1 FROM executions AS e WHERE e.id = fires.execution_id AND e.end_time IS NULL)",
        key="agent_id || '/' || trigger_id",
    ),
    _rule(
        "ledger_counts",
        "rows of the ledger that count no time",
        "FROM fires WHERE count < 1",
        key="agent_id || '/' || trigger_id",
    ),
    _rule(
        "event_sequence",
        "logs of events that are ahead of their sequence: numbers would be given twice",
        "FROM (SELECT max(sequence) AS top FROM events)"
        " WHERE top > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)",
        key="top",
    ),
    _rule(
        "log_sequence",
        "logs that are ahead of their sequence: numbers would be given twice",
        "FROM (SELECT max(sequence) AS top FROM logs)"
        " WHERE top > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'logs'), 0)",
        key="top",
    ),
    _rule("spec_is_json", "agents whose spec is no JSON", "FROM agents WHERE NOT json_valid(spec)"),
    *(
        _rule(
            f"{table}_have_agent",
            f"rows of {table} whose agent is gone",
            f"FROM {table} WHERE NOT EXISTS (SELECT 1 FROM agents WHERE id = {table}.{column})",  # noqa: S608 - ours
            key=key,
            grave=False,
        )
        for table, column, key in _ORPHANS
    ),
)

RUNNING: Final = "SELECT count(*) FROM executions WHERE end_time IS NULL AND state = 'STATE_RUNNING'"
