-- Webhooks: their secrets, sealed, and the deliveries that were answered, so that each makes one execution.

-- sealed opens with the runtime's key and for this agent and trigger alone.
CREATE TABLE webhook_secrets (
    agent_id TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (agent_id, trigger_id)
) STRICT, WITHOUT ROWID;

-- delivery is a digest of what the sender calls it. seq grows with time: the oldest are found without an index.
CREATE TABLE webhook_deliveries (
    seq INTEGER PRIMARY KEY,
    agent_id TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    delivery BLOB NOT NULL,
    execution_id TEXT NOT NULL,
    time INTEGER NOT NULL,
    UNIQUE (agent_id, trigger_id, delivery)
) STRICT;
