-- Outbound hooks: how far each has got in the event log, and what it could not deliver yet.

-- One row a name that nightcrew.toml has had. Events up to the cursor are delivered, of no concern to it, or have a row
-- below. `url` is that of the receiver that `disabled` is about; `disabled` is empty while the hook sends.
CREATE TABLE outbound_hooks (
    name TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL,
    url TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    disabled TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row an event that a receiver has not taken. What it takes at once has none, and what it takes later loses it.
CREATE TABLE outbound_deliveries (
    seq INTEGER PRIMARY KEY,
    hook TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_time INTEGER,
    last_attempt_time INTEGER NOT NULL,
    status INTEGER NOT NULL,
    reason TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    UNIQUE (hook, sequence)
) STRICT;
CREATE INDEX outbound_deliveries_due ON outbound_deliveries (hook, next_attempt_time) WHERE state = 'STATE_RETRYING';
CREATE INDEX outbound_deliveries_dead ON outbound_deliveries (hook, last_attempt_time) WHERE state = 'STATE_DEAD';
CREATE INDEX outbound_deliveries_by_create_time ON outbound_deliveries (create_time);
