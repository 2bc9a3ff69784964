"""Messages from brokers: the URLs that name their sources, and how a message becomes an event."""
