"""Every test in here starts real processes: it is marked e2e, and has the harness's fixtures."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:  # `python -m pytest` has it there, a bare `pytest` has not
    sys.path.insert(0, str(ROOT))

from tests.harness.fixtures import add_what_runtimes_said, agents, up  # noqa: E402 - the path comes first

__all__ = ["agents", "up"]


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    add_what_runtimes_said(item, report)
    return report
