"""Draws both state machines as Mermaid diagrams from their tables: `python -m nightcrew.domain.lifecycle.diagram`."""

import argparse
import sys
from pathlib import Path

from nightcrew.domain.lifecycle import agent, execution

_HEAD = "<!-- Drawn from runtime/nightcrew/domain/lifecycle by `make diagrams`; do not edit. -->\n"


def agent_diagram() -> str:
    """The agent's table as a Mermaid state diagram and a table of commands."""
    lines = ["stateDiagram-v2", "    [*] --> STOPPED"]
    for state, row in agent.TABLE.items():
        lines += [
            f"    {_short(state)} --> {_short(step.state)}: {event}" for event, step in row.items() if step
        ]
    grid = [_row("state", *agent.AgentEvent), _row(*["---"] * (len(agent.AgentEvent) + 1))]
    for state, steps in agent.TABLE.items():
        cells = (_cell(event in steps, steps.get(event)) for event in agent.AgentEvent)
        grid.append(_row(_short(state), *cells))
    return _page("An agent's states", lines, grid)


def execution_diagram() -> str:
    """The execution's table as a Mermaid state diagram and a table of events."""
    lines = ["stateDiagram-v2", "    [*] --> QUEUED"]
    for state, row in execution.TABLE.items():
        lines += [f"    {_short(state)} --> {_short(to)}: {event}" for event, (to, _) in row.items() if to]
        if state.final:
            lines.append(f"    {_short(state)} --> [*]")
    grid = [_row("state", *execution.ExecutionEvent), _row(*["---"] * (len(execution.ExecutionEvent) + 1))]
    for state, row in execution.TABLE.items():
        cells = (
            ("refuse" if event not in row else _short(row[event][0]) if row[event][0] else "stays")
            for event in execution.ExecutionEvent
        )
        grid.append(_row(_short(state), *cells))
    return _page("An execution's states", lines, grid)


def _cell(known: bool, step: agent.AgentStep | None) -> str:  # noqa: FBT001 - two facts of one cell
    if not known:
        return "refuse"
    return _short(step.state) if step else "stays"


def _short(state: object) -> str:
    return str(state).removeprefix("STATE_")


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _page(title: str, diagram: list[str], grid: list[str]) -> str:
    return "\n".join([_HEAD, f"# {title}\n", "```mermaid", *diagram, "```\n", *grid, ""])


def main() -> int:
    """Writes the diagrams into a folder, or with --check says whether they are as the tables have them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where the .md files are, such as docs/states")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit 1 if a file is out of date"
    )
    arguments = parser.parse_args()
    stale = []
    for name, text in (("agent.md", agent_diagram()), ("execution.md", execution_diagram())):
        file = arguments.folder / name
        if arguments.check:
            if not file.exists() or file.read_text() != text:
                stale.append(file.name)
        else:
            arguments.folder.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `make diagrams`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
