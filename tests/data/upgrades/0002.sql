-- Schedules, complete: a time to be skipped, a backfill that has ended, and a cursor with its offset.
INSERT INTO skips VALUES ('ticker', 'interval', 1767229200000000, 1767225540000000, 'maintenance');
INSERT INTO backfills VALUES (1, '019b6b00-0000-7000-8000-0000000000b1', 'ticker', 'interval', 1767193200000000, 1767196800000000, 'OVERLAP_POLICY_BUFFER_ALL', 'STATE_SUCCEEDED', 1767196800000000, 2, 0, 2, 1767225400000000, 1767225450000000, 1, '', '{"program":{"python":{"entrypoint":"crew:ticker"}},"triggers":[{"id":"interval","schedule":{"interval":{"every":"3600s"}}}]}');
UPDATE schedule_cursors SET utc_offset = 0 WHERE agent_id = 'ticker';
