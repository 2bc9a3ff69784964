"""OTP for asyncio: mailboxes, actors, supervisors. Knows nothing of agents."""
