"""Brokers as sources of events: what they bring is published, and acknowledged to them once it is on disk."""
