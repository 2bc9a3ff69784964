-- Events that wake agents: a listener, what is known to be published, and an execution that an event has caused.
INSERT INTO agents (seq, id, state, state_reason, state_time, generation, revision, consecutive_failures, delete_requested, was_paused, create_time, update_time, program, display_name, labels, description, spec) VALUES
    (4, 'listener', 'STATE_ACTIVE', '', 1767225540000000, 1, 1, 0, 0, 0, 1767139200000000, 1767139200000000, 'crew:listener', '', '{}', '', '{"program":{"python":{"entrypoint":"crew:listener"}},"triggers":[{"id":"event","event":{"types":["shop.*"]}}]}');
INSERT INTO event_triggers VALUES ('listener', 'event', '["shop.*"]', '');
INSERT INTO published VALUES ('/shop', 'order-1', 7, 1767225502000000);
INSERT INTO executions (seq, id, agent_id, agent_generation, state, trigger_kind, trigger_id, nominal_time, event_id, cause_execution_id, create_time, attempt, lease, started, keep_attempt, asked_for, priority, interruptions, unclean, cancel_requested, cancel_reason, next_attempt_time, deadline, start_time, end_time, labels, input, result, event_sequence, root_sequence, depth) VALUES
    (7, '019b6b00-0000-7000-8000-000000000007', 'listener', 1, 'STATE_SUCCEEDED', 'KIND_EVENT', 'event', NULL, 'order-1', '', 1767225502000000, 1, 1, 1, 0, 0, 0, 0, 0, 0, '', NULL, NULL, 1767225502000000, 1767225503000000, '{}', '{"event":{"id":"order-1"}}', '12.5', 7, 7, 1);
INSERT INTO chains VALUES (7, 1);
INSERT INTO marks VALUES (1767225000000000, 4, 1);
