-- One-time addresses of signals, by the SHA-256 of their tokens.

-- execution is executions.seq. used is the digest of what an address was used with, empty until then.
CREATE TABLE signal_urls (
    digest TEXT PRIMARY KEY,
    execution INTEGER NOT NULL,
    signal TEXT NOT NULL,
    payload TEXT,
    expire_time INTEGER NOT NULL,
    used TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX signal_urls_by_execution ON signal_urls (execution);
CREATE INDEX signal_urls_by_time ON signal_urls (expire_time);
