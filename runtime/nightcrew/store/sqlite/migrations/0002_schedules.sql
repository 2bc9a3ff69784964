-- Schedules, complete: times to be skipped, backfills, and a fire's one execution as a constraint.

-- One row a nominal time that is to come; once it is decided the ledger has it, and this row goes.
CREATE TABLE skips (
    agent_id TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    nominal_time INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (agent_id, trigger_id, nominal_time)
) STRICT, WITHOUT ROWID;

-- spec is the agent's as it was in its generation when the backfill began.
CREATE TABLE backfills (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    agent_id TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    from_time INTEGER NOT NULL,
    to_time INTEGER NOT NULL,
    overlap TEXT NOT NULL,
    state TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    started INTEGER NOT NULL,
    deduplicated INTEGER NOT NULL,
    total INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    end_time INTEGER,
    generation INTEGER NOT NULL,
    reason TEXT NOT NULL,
    spec TEXT NOT NULL
) STRICT;
CREATE INDEX backfills_running ON backfills (agent_id) WHERE state = 'STATE_RUNNING';
CREATE INDEX backfills_by_create_time ON backfills (create_time);
CREATE INDEX backfills_by_agent ON backfills (agent_id, create_time);

-- A nominal time has at most one execution, whether its schedule or a backfill made it. One that ended without
-- having started was dropped from the backlog: a backfill may run that time after all. A retry is another
-- execution of people's, and has a kind of its own.
CREATE UNIQUE INDEX executions_by_fire ON executions (agent_id, trigger_id, nominal_time)
    WHERE nominal_time IS NOT NULL AND trigger_kind IN ('KIND_SCHEDULE', 'KIND_BACKFILL')
        AND (started = 1 OR end_time IS NULL);

-- Counted rows that reach beyond a moment: what a clock that is set back must take apart.
CREATE INDEX fires_counted ON fires (last_nominal_time) WHERE count > 1;

-- Seconds that the schedule's zone was off UTC at the cursor when it was set: what new time zone data must not
-- change about the past. NULL where no local clock matters.
ALTER TABLE schedule_cursors ADD COLUMN utc_offset INTEGER;
