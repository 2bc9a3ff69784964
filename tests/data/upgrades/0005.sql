-- Outbound hooks: one that sends, and what it could not deliver.
INSERT INTO outbound_hooks VALUES ('ops', 4, 'https://ops.example.org/hook', 1767139200000000, '');
INSERT INTO outbound_deliveries VALUES (1, 'ops', 4, 'nightcrew.execution.succeeded', 'STATE_DEAD', 9, NULL, 1767225530000000, 500, 'HTTP 500', 1767225501000000);
