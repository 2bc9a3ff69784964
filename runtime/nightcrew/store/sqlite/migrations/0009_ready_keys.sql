-- Concurrency keys that may have something to start: so that keys whose places are taken are not looked at again.

-- A key comes here when an execution of it is queued or has ended, and goes when a look finds nothing to start.
CREATE TABLE ready_keys (
    agent_id TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (agent_id, key)
) STRICT, WITHOUT ROWID;
INSERT INTO ready_keys SELECT DISTINCT agent_id, key FROM keyed WHERE held = 0;
