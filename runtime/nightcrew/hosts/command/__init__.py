"""Commands: each run is a process group of its own, that dies with the runtime."""
