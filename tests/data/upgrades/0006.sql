-- Durable work: an execution in its second step that waits for a signal, and one that sleeps.
INSERT INTO agents (seq, id, state, state_reason, state_time, generation, revision, consecutive_failures, delete_requested, was_paused, create_time, update_time, program, display_name, labels, description, spec) VALUES
    (5, 'approver', 'STATE_ACTIVE', '', 1767225540000000, 1, 1, 0, 0, 0, 1767139200000000, 1767139200000000, 'crew:approver', '', '{}', '', '{"program":{"python":{"entrypoint":"crew:approver"}}}');
INSERT INTO executions (seq, id, agent_id, agent_generation, state, trigger_kind, trigger_id, nominal_time, event_id, cause_execution_id, create_time, attempt, lease, started, keep_attempt, asked_for, priority, interruptions, unclean, cancel_requested, cancel_reason, next_attempt_time, deadline, start_time, end_time, labels, input, result, steps, resume) VALUES
    (8, '019b6b00-0000-7000-8000-000000000008', 'approver', 1, 'STATE_WAITING', 'KIND_MANUAL', '', NULL, '', '', 1767225505000000, 1, 1, 1, 1, 0, 0, 0, 0, 0, '', NULL, NULL, 1767225505000000, NULL, '{}', '{}', NULL, 2, 0);
INSERT INTO steps VALUES
    (1, 8, '/now#0', '', 'now', 0, 'now', 'STATE_SUCCEEDED', '', 1, NULL, '', 1767225505000000, 1767225505000000, NULL, '', '"2025-12-31T23:58:25Z"'),
    (2, 8, '/go#0', '', 'go', 0, 'signal', 'STATE_WAITING', '', 1, NULL, 'go', 1767225505000000, NULL, NULL, '', NULL);
INSERT INTO waits VALUES (8, 'KIND_SIGNAL', NULL, 'go', 'Go?');
INSERT INTO signals VALUES (1, 8, 'other', '{"kept":true}', 1767225506000000);
