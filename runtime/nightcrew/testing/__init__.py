"""For users' own tests: a manual clock and a runtime in a box."""
