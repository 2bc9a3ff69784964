"""When schedules fire: cron, interval, civil and date as pure functions of instants, and catch-up."""
