"""The command line: `up` serves, the rest controls through the SDK."""
