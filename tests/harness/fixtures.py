"""Fixtures of the end-to-end and soak tests: runtimes that are gone when the test is, and agents in files."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.harness.process import RuntimeProcess

DATA = Path(__file__).parents[1] / "data"
FLOWS = sorted((DATA / "flows").glob("*.json"))

Up = Callable[..., RuntimeProcess]


@pytest.fixture
def agents(tmp_path: Path) -> Callable[[str], Path]:
    """Copies a file of agents from tests/data/agents into the test's folder, or writes one."""

    def write(name: str, text: str = "") -> Path:
        folder = tmp_path / "agents"
        folder.mkdir(exist_ok=True)
        target = folder / f"{name}.py"
        if text:
            target.write_text(text)
        else:
            shutil.copy(DATA / "agents" / f"{name}.py", target)
        return target

    return write


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """Makes a runtime (not started yet); it is killed at the test's end if it still runs."""
    made: list[RuntimeProcess] = []

    def make(*paths: Path, folder: str = "crew", **options: object) -> RuntimeProcess:
        made.append(RuntimeProcess(tmp_path / folder, paths, **options))
        return made[-1]

    make.made = made
    yield make
    for one in made:
        one.end()


def add_what_runtimes_said(item: pytest.Item, report: pytest.TestReport) -> None:
    """Puts what the test's runtimes printed into the report of its failure."""
    make = getattr(item, "funcargs", {}).get("up")
    if report.failed and make is not None:
        for one in make.made:
            report.sections.append((f"runtime in {one.data.parent}", one.said()))
