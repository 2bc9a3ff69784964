-- Events that more executions wait for than one transaction wakes: whom they have still to be given to, in order.
-- Waits of the type or prefix in (cursor, until], by steps.seq, which had begun when the event came at that time.
CREATE TABLE event_calls (
    seq INTEGER PRIMARY KEY,
    event_sequence INTEGER NOT NULL,
    awaited TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    until INTEGER NOT NULL,
    time INTEGER NOT NULL
) STRICT;
