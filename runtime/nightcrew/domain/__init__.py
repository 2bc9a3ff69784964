"""Every decision of Nightcrew, pure and synchronous: no I/O, no clock, no asyncio."""
