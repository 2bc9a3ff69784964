-- What a runtime of the first schema has left, killed in the middle of its work (2025-12-31 23:59).
INSERT INTO meta VALUES ('incarnation', '019b6b00-0000-7000-8000-00000000000a');
INSERT INTO agents (seq, id, state, state_reason, state_time, generation, revision, consecutive_failures, delete_requested, was_paused, create_time, update_time, program, display_name, labels, description, spec) VALUES
    (1, 'greeter', 'STATE_ACTIVE', '', 1767225540000000, 2, 5, 1, 0, 0, 1767139200000000, 1767139300000000, 'crew:greeter', 'Grüße', '{"team":"ops"}', 'says hello', '{"program":{"python":{"entrypoint":"crew:greeter"}},"input":{"name":"Ada"}}'),
    (2, 'ticker', 'STATE_ACTIVE', '', 1767225540000000, 1, 1, 0, 0, 0, 1767139200000000, 1767139200000000, 'crew:ticker', '', '{}', '', '{"program":{"python":{"entrypoint":"crew:ticker"}},"triggers":[{"id":"interval","schedule":{"interval":{"every":"3600s"}}}]}'),
    (3, 'resting', 'STATE_PAUSED', 'lunch', 1767225540000000, 1, 2, 0, 0, 0, 1767139200000000, 1767139200000000, 'crew:resting', '', '{}', '', '{"program":{"python":{"entrypoint":"crew:resting"}}}');
INSERT INTO agent_memory VALUES ('greeter', '{"sent":3}');
INSERT INTO agent_sources VALUES ('greeter', '/srv/crew.py', 'd1', 0), ('gone', '/srv/gone.py', 'd2', 1);
INSERT INTO executions (seq, id, agent_id, agent_generation, state, trigger_kind, trigger_id, nominal_time, event_id, cause_execution_id, create_time, attempt, lease, started, keep_attempt, asked_for, priority, interruptions, unclean, cancel_requested, cancel_reason, next_attempt_time, deadline, start_time, end_time, error_type, error_message, error_traceback, error_retryable, labels, input, result) VALUES
    (1, '019b6b00-0000-7000-8000-000000000001', 'greeter', 1, 'STATE_SUCCEEDED', 'KIND_MANUAL', '', NULL, '', '', 1767225500000000, 1, 1, 1, 0, 0, 0, 0, 0, 0, '', NULL, NULL, 1767225500000000, 1767225501000000, NULL, NULL, NULL, NULL, '{"run":"first"}', '{"name":"Ada"}', '{"text":"Hello, Ada!"}'),
    (2, '019b6b00-0000-7000-8000-000000000002', 'greeter', 2, 'STATE_FAILED', 'KIND_MANUAL', '', NULL, '', '', 1767225510000000, 3, 3, 1, 0, 0, 5, 1, 0, 0, '', NULL, NULL, 1767225510000000, 1767225511000000, 'ValueError', 'no name', 'Traceback …', 1, '{}', '{}', NULL),
    (3, '019b6b00-0000-7000-8000-000000000003', 'greeter', 2, 'STATE_RUNNING', 'KIND_MANUAL', '', NULL, '', '', 1767225520000000, 1, 1, 1, 0, 0, 0, 0, 0, 0, '', NULL, NULL, 1767225520000000, NULL, NULL, NULL, NULL, NULL, '{}', '{"name":"Bob"}', NULL),
    (4, '019b6b00-0000-7000-8000-000000000004', 'greeter', 2, 'STATE_QUEUED', 'KIND_MANUAL', '', NULL, '', '', 1767225530000000, 0, 0, 0, 0, 1, 0, 0, 0, 0, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', '{"name":"Cy"}', NULL),
    (5, '019b6b00-0000-7000-8000-000000000005', 'greeter', 2, 'STATE_RETRYING', 'KIND_MANUAL', '', NULL, '', '', 1767225530000000, 1, 1, 1, 0, 0, 0, 0, 0, 0, '', 1767225610000000, NULL, 1767225530000000, NULL, 'OSError', 'flaky', NULL, 1, '{}', '{"name":"Di"}', NULL),
    (6, '019b6b00-0000-7000-8000-000000000006', 'ticker', 1, 'STATE_SUCCEEDED', 'KIND_SCHEDULE', 'interval', 1767222000000000, '', '', 1767222000000000, 1, 1, 1, 0, 0, 0, 0, 0, 0, '', NULL, NULL, 1767222000000000, 1767222001000000, NULL, NULL, NULL, NULL, '{}', '{}', '1');
INSERT INTO events (sequence, id, source, type, subject, time, agent_id, execution_id, cause_sequence, actor, extensions, data) VALUES
    (3, '', '/agents/greeter', 'nightcrew.agent.created', 'greeter', 1767139200000000, 'greeter', '', 0, 'ann', '{}', '{"state":"STATE_STOPPED"}'),
    (4, '', '/agents/greeter', 'nightcrew.execution.succeeded', '', 1767225501000000, 'greeter', '019b6b00-0000-7000-8000-000000000001', 0, '', '{}', '{"state":"STATE_SUCCEEDED"}'),
    (7, 'order-1', '/shop', 'shop.order.created', 'o1', 1767225502000000, '', '', 0, '', '{"region":"eu"}', '{"total":12.5}');
INSERT INTO logs (sequence, execution, time, severity, stream, message, fields) VALUES
    (1, 1, 1767225500500000, 'INFO', 'STDOUT', 'hello', NULL),
    (9, 2, 1767225510500000, 'ERROR', 'LOG', 'no name', '{"n":1}');
INSERT INTO fires VALUES
    (1, 'ticker', 'interval', 1767200400000000, 1767218400000000, 1767218400000000, 'OUTCOME_NOT_ACTIVE', '', 'paused', 6),
    (2, 'ticker', 'interval', 1767222000000000, 1767222000000000, 1767222000000000, 'OUTCOME_STARTED', '019b6b00-0000-7000-8000-000000000006', '', 1);
INSERT INTO schedule_cursors (agent_id, trigger_id, cursor, next_time, exhausted, fires, generation) VALUES
    ('ticker', 'interval', 1767222000000000, 1767225600000000, 0, 1, 1);
INSERT INTO requests VALUES (1, '', 'AgentService/TriggerAgent', '5b0c77a2-97a2-4c87-8d6e-3d3a0f5f3f01', 'digest', '019b6b00-0000-7000-8000-000000000001', 1767225500000000);
