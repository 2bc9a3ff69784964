-- Events that wake agents: what was published is known, triggers are found by type, chains are measured.

-- What was published within 24 h, by the time of its receipt. An event whose id was made here has no row.
CREATE TABLE published (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX published_by_time ON published (time);

-- Lists of published events by type; the runtime's own, two or three an execution, have no id and cost nothing.
CREATE INDEX events_published ON events (type) WHERE id != '';

-- The event triggers of agents that take events now, as their specs have them. types is a JSON list.
CREATE TABLE event_triggers (
    agent_id TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    types TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (agent_id, trigger_id)
) STRICT, WITHOUT ROWID;

-- Triggers whose agent's backlog was full: events up to cursor are decided, those up to until (NULL: whatever
-- comes) wait in the log. match is the trigger's as it was. With a reason they are dropped, told in the ledger.
CREATE TABLE lags (
    seq INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    until INTEGER,
    match TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX lags_by_agent ON lags (agent_id);

-- What an event has caused: the event, the first event of its chain, and how many executions deep it stands.
ALTER TABLE executions ADD COLUMN event_sequence INTEGER;
ALTER TABLE executions ADD COLUMN root_sequence INTEGER;
ALTER TABLE executions ADD COLUMN depth INTEGER;
-- A trigger gives an event to its agent at most once. The sequence stands first: it grows.
CREATE UNIQUE INDEX executions_by_event ON executions (event_sequence, agent_id, trigger_id)
    WHERE event_sequence IS NOT NULL;

-- How many executions a chain has had, by the sequence of its first event.
CREATE TABLE chains (
    root_sequence INTEGER PRIMARY KEY,
    executions INTEGER NOT NULL
) STRICT;

-- How far the logs had come at a time: what is older is found without an index on a time that publishers give.
CREATE TABLE marks (
    time INTEGER PRIMARY KEY,
    event_sequence INTEGER NOT NULL,
    log_sequence INTEGER NOT NULL
) STRICT;
