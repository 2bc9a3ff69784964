-- Durable work: journals of executions, signals that were sent, and what WAITING executions wait for.

-- execution is executions.seq. seq is the order in which the steps began.
CREATE TABLE steps (
    seq INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    key TEXT NOT NULL,
    branch TEXT NOT NULL,
    name TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    digest TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    until INTEGER,
    awaited TEXT NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER,
    error TEXT,
    detail TEXT NOT NULL,
    result TEXT,
    UNIQUE (execution, key)
) STRICT;
-- Who waits for this event, or for the end of this execution.
CREATE INDEX steps_awaiting ON steps (kind, awaited) WHERE state = 'STATE_WAITING' AND kind IN ('event', 'call');

-- Signals that no wait has taken yet.
CREATE TABLE signals (
    seq INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL,
    name TEXT NOT NULL,
    payload TEXT NOT NULL,
    time INTEGER NOT NULL
) STRICT;
CREATE INDEX signals_by_execution ON signals (execution, name);

-- One row while an execution is WAITING.
CREATE TABLE waits (
    execution INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    until INTEGER,
    signal TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX waits_by_time ON waits (until) WHERE until IS NOT NULL;
CREATE INDEX waits_for_code ON waits (execution) WHERE kind = 'KIND_CODE';

-- steps: how many entries the journal has; 0 spares the look. resume: it was cancelled while it did not run, and
-- is to run once more, to be raised into where its journal ends.
ALTER TABLE executions ADD COLUMN steps INTEGER NOT NULL DEFAULT 0;
ALTER TABLE executions ADD COLUMN resume INTEGER NOT NULL DEFAULT 0;
