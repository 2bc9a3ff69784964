-- Shared limits: pools, concurrency keys, and what agents have used up.
-- All of it stands beside the executions, so that those of an agent without limits neither hold nor cost any of it.

-- paid_until: GCRA's theoretical arrival time, in microseconds since 1970.
CREATE TABLE pools (
    name TEXT PRIMARY KEY,
    paid_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A place counts while its execution is RUNNING under this lease: so a crash gives it back, and a wait does.
-- execution is executions.seq, here and below.
CREATE TABLE pool_places (
    pool TEXT NOT NULL,
    execution INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    PRIMARY KEY (pool, execution)
) STRICT, WITHOUT ROWID;
CREATE INDEX pool_places_of ON pool_places (execution);

-- Agents that wait for room in a pool, in the order in which they get it: one that was let in stands at the end again.
CREATE TABLE pool_line (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    agent_id TEXT NOT NULL UNIQUE,
    pool TEXT NOT NULL
) STRICT;
CREATE INDEX pool_line_of ON pool_line (pool, seq);

-- Executions that have a concurrency key and are open; one that has begun holds a place of its key until it ends.
CREATE TABLE keyed (
    execution INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL,
    key TEXT NOT NULL,
    priority INTEGER NOT NULL,
    held INTEGER NOT NULL
) STRICT;
CREATE INDEX keyed_queued ON keyed (agent_id, key, priority DESC) WHERE held = 0;
CREATE INDEX keyed_held ON keyed (agent_id, key) WHERE held = 1;

-- Whose turn it was last among an agent's keys.
CREATE TABLE key_turns (
    agent_id TEXT PRIMARY KEY,
    key TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What agents have used in a window of time that began at window_start: executions, microseconds of run time, or
-- billionths of what they report.
CREATE TABLE usage (
    agent_id TEXT NOT NULL,
    name TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (agent_id, name)
) STRICT, WITHOUT ROWID;
