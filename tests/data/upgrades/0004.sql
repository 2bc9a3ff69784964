-- Webhooks: a delivery that was answered.
INSERT INTO webhook_deliveries VALUES (1, 'greeter', 'webhook', x'00ff10', '019b6b00-0000-7000-8000-000000000001', 1767225500000000);
