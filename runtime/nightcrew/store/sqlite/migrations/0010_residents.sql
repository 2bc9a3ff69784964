-- Agents that run as long as they are ACTIVE: what is wanted of each, and its current or last execution.
CREATE TABLE residents (
    agent_id TEXT PRIMARY KEY,
    wish TEXT NOT NULL,
    execution_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One at a time, whatever happens; empty for all other work, so that costs it nothing.
CREATE UNIQUE INDEX executions_resident ON executions (agent_id)
    WHERE trigger_kind = 'KIND_RESIDENT' AND end_time IS NULL;
