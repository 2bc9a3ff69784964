-- The first schema. Instants are whole microseconds since 1970 in UTC, JSON is text, enums are their full names.
-- No foreign keys: a check of the parent on every insert is paid on the hottest path, and the one place that
-- deletes a parent (agents.py) deletes the children itself.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The wide columns stand last, so that reading a state does not walk over a spec.
CREATE TABLE agents (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    state_reason TEXT NOT NULL,
    state_time INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    consecutive_failures INTEGER NOT NULL,
    delete_requested INTEGER NOT NULL,
    was_paused INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    update_time INTEGER NOT NULL,
    program TEXT NOT NULL,
    display_name TEXT NOT NULL,
    labels TEXT NOT NULL,
    description TEXT NOT NULL,
    spec TEXT NOT NULL
) STRICT;
CREATE INDEX agents_by_state ON agents (state, id);
CREATE INDEX agents_by_create_time ON agents (create_time);
CREATE INDEX agents_by_update_time ON agents (update_time);

CREATE TABLE agent_memory (
    agent_id TEXT NOT NULL UNIQUE,
    memory TEXT NOT NULL
) STRICT;

CREATE TABLE agent_sources (
    agent_id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    digest TEXT NOT NULL,
    deleted INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- keep_attempt: the run was interrupted, so its next claim does not count as a new attempt.
-- asked_for: people asked for it and it has not started yet, so it may start while its agent is held.
CREATE TABLE executions (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    agent_id TEXT NOT NULL,
    agent_generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    trigger_kind TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    nominal_time INTEGER,
    event_id TEXT NOT NULL,
    cause_execution_id TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    started INTEGER NOT NULL,
    keep_attempt INTEGER NOT NULL,
    asked_for INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    interruptions INTEGER NOT NULL,
    unclean INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL,
    cancel_reason TEXT NOT NULL,
    next_attempt_time INTEGER,
    deadline INTEGER,
    start_time INTEGER,
    end_time INTEGER,
    error_type TEXT,
    error_message TEXT,
    error_traceback TEXT,
    error_retryable INTEGER,
    labels TEXT NOT NULL,
    input TEXT NOT NULL,
    result TEXT
) STRICT;
-- The order of claims; also counts places. Holds open rows only, so history costs it nothing. A row is open
-- while it has no end_time; executions.py sees to it that just the final states have one (a CHECK would cost
-- 2 µs at each of an execution's writes).
CREATE INDEX executions_open ON executions (agent_id, state, started DESC, priority DESC)
    WHERE end_time IS NULL;
-- What may start while its agent is held: a long backlog of the others is never walked for it.
CREATE INDEX executions_asked_for ON executions (agent_id, priority DESC) WHERE asked_for = 1;
CREATE INDEX executions_by_wake ON executions (next_attempt_time) WHERE state = 'STATE_RETRYING';
CREATE INDEX executions_by_deadline ON executions (deadline) WHERE end_time IS NULL AND deadline IS NOT NULL;
CREATE INDEX executions_by_create_time ON executions (create_time);
CREATE INDEX executions_by_agent ON executions (agent_id, create_time);
CREATE INDEX executions_ended ON executions (agent_id, end_time) WHERE end_time IS NOT NULL;

-- AUTOINCREMENT: a sequence that watchers have seen is never given again, not even after a full prune.
CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    type TEXT NOT NULL,
    subject TEXT NOT NULL,
    time INTEGER NOT NULL,
    agent_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    cause_sequence INTEGER NOT NULL,
    actor TEXT NOT NULL,
    extensions TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;

-- execution is executions.seq: a tenth of the size of the id in table and index.
CREATE TABLE logs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    execution INTEGER NOT NULL,
    time INTEGER NOT NULL,
    severity TEXT NOT NULL,
    stream TEXT NOT NULL,
    message TEXT NOT NULL,
    fields TEXT
) STRICT;
CREATE INDEX logs_by_execution ON logs (execution);

CREATE TABLE fires (
    seq INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    nominal_time INTEGER NOT NULL,
    last_nominal_time INTEGER NOT NULL,
    actual_time INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    UNIQUE (agent_id, trigger_id, nominal_time),
    CHECK (last_nominal_time >= nominal_time)
) STRICT;
CREATE INDEX fires_by_nominal_time ON fires (nominal_time);

CREATE TABLE schedule_cursors (
    agent_id TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    next_time INTEGER,
    exhausted INTEGER NOT NULL,
    fires INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    PRIMARY KEY (agent_id, trigger_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE requests (
    seq INTEGER PRIMARY KEY,
    caller TEXT NOT NULL,
    method TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    answer TEXT NOT NULL,
    time INTEGER NOT NULL,
    UNIQUE (caller, method, request_id)
) STRICT;
CREATE INDEX requests_by_time ON requests (time);
