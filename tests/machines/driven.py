"""What the state machines share: a runtime in a box, driven step by step from code that is not async."""

import asyncio
import os

from hypothesis import HealthCheck, settings

from nightcrew.domain.errors import FailedPrecondition, NotFound
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")
_ALL = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
FEW = settings(max_examples=15, stateful_step_count=25, derandomize=True, **_ALL)
"""The same lives in every run of the suite."""
MANY = settings(
    max_examples=int(os.environ.get("NIGHTCREW_EXAMPLES", "400")),
    stateful_step_count=50,
    print_blob=True,
    **_ALL,
)
"""Other lives each time, for the soak."""


class Driven:
    """A box, its loop, and what its event log has told so far."""

    def __init__(self, *agents):
        self.loop = asyncio.new_event_loop()
        self.box = Box(*agents)
        self.do(self.box.__aenter__())
        self.seen = len(self.do(self.box.events()))

    def do(self, work):
        return self.loop.run_until_complete(work)

    def refused(self, work):
        """The error of a call that is refused; None if it is not."""
        try:
            self.do(work)
        except (FailedPrecondition, NotFound) as error:
            return error
        return None

    def news(self):
        """The events since the last look; sequences never go back."""
        found = self.do(self.box.events())
        assert [one.sequence for one in found] == sorted({one.sequence for one in found})
        fresh, self.seen = found[self.seen :], len(found)
        return fresh

    def close(self):
        self.do(self.box.__aexit__(None, None, None))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
