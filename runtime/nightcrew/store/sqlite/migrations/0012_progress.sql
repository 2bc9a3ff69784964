-- How far runs have got, as their programs say: a row of those that say anything, the last one said.
-- execution is executions.seq.
CREATE TABLE progress (
    execution INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    time INTEGER NOT NULL,
    done REAL NOT NULL,
    total REAL NOT NULL,
    message TEXT NOT NULL
) STRICT;
