"""Every test in here is long: it is marked soak, and has the harness's fixtures."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
if str(ROOT) not in sys.path:  # `python -m pytest` has it there, a bare `pytest` has not
    sys.path.insert(0, str(ROOT))

from tests.harness.fixtures import add_what_runtimes_said, agents, up  # noqa: E402 - the path comes first

__all__ = ["agents", "up"]

FIGURES = pytest.StashKey()


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.soak)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    add_what_runtimes_said(item, report)
    return report


@pytest.fixture
def figures(request):
    """Takes lines for the report at the end of the run."""
    lines = request.config.stash.setdefault(FIGURES, {}).setdefault(request.node.name, [])
    return lines.extend


def pytest_terminal_summary(terminalreporter, config):
    found = config.stash.get(FIGURES, {})
    if found:
        terminalreporter.section("figures of the soak")
        for name, lines in found.items():
            terminalreporter.write_line(name)
            for line in lines:
                terminalreporter.write_line(f"    {line}")
