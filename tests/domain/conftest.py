"""Hypothesis for the domain's tests: no deadline, as other work shares the machine."""

from hypothesis import settings

settings.register_profile("nightcrew", deadline=None)
settings.load_profile("nightcrew")
