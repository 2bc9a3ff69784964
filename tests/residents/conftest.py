"""What the tests of residents share: a guard that judges a spec."""

import pytest

from nightcrew.crew.registry import Registry
from nightcrew.domain.spec.agent import Manifest
from nightcrew.ports.host import ProgramSource
from nightcrew.services.guard import Guard


@pytest.fixture
def guard_of():
    """Checks a spec with a program that is known."""
    registry = Registry()
    registry.put([ProgramSource(kind="python", name="jobs:fast", path="/jobs.py", is_async=True)])
    guard = Guard(registry)

    def check(spec):
        guard.check_manifest(
            Manifest.parse({"spec": {"program": {"python": {"entrypoint": "jobs:fast"}}, **spec}})
        )

    return check
