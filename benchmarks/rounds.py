"""Taking turns: each contender in a fresh process and folder, round after round, and the tables of what came out."""

import inspect
import json
import os
import platform
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import uvloop
from benchmarks.contenders import CONTENDERS, TABLES, Contender, Table, Target, contender

ROOT = Path(__file__).resolve().parents[1]

Figures = dict[str, list[dict[str, float]]]
"""What each contender reported, a mapping a round."""


def child(name: str, folder: Path, n: int | None) -> None:
    """Runs one contender in this process; its figures are the last line it prints."""
    one = contender(name)
    outcome = one.run(folder, n=n or one.n)
    if inspect.iscoroutine(outcome):
        uvloop.run(outcome)


def compare(only: Sequence[str], *, rounds: int, n: int | None, folder: Path) -> int:
    """Measures what was asked for and prints the tables; 1 if a contender failed."""
    print(f"{_machine(folder)}\n")
    failed = False
    for key, table in TABLES.items():
        chosen = [one for one in CONTENDERS if one.table == key and (key in only or one.name in only)]
        if not chosen:
            continue
        print(f"{table.title}, {rounds} {'round' if rounds == 1 else 'rounds'}")
        found: Figures = {}
        for number in range(1, rounds + 1):
            for one in chosen:
                print(f"\r  round {number}: {one.name:<12}", end="", file=sys.stderr, flush=True)
                figures = _turn(one, folder, n)
                failed |= figures is None
                if figures is not None:
                    found.setdefault(one.name, []).append(figures)
        print("\r" + " " * 30 + "\r", end="", file=sys.stderr, flush=True)
        if found:
            _print(table, chosen, found)
    return int(failed)


def _turn(one: Contender, folder: Path, n: int | None) -> dict[str, float] | None:
    """One run in a process group of its own; None if it failed or took too long."""
    place = folder / one.name
    shutil.rmtree(place, ignore_errors=True)
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "run.py"),
        "--child",
        one.name,
        "--folder",
        str(place),
    ]
    command += [] if n is None else ["--n", str(n)]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, _ = process.communicate(timeout=one.limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            print(f"\n{one.name}: took over {one.limit:.0f} s and was ended", file=sys.stderr)
            return None
        finally:
            shutil.rmtree(place, ignore_errors=True)
    if process.returncode:
        print(f"\n{one.name}: failed with {process.returncode}", file=sys.stderr)
        return None
    figures: dict[str, float] = json.loads(out.strip().rpartition("\n")[2])
    return figures


def _print(table: Table, chosen: Sequence[Contender], found: Figures) -> None:
    """A row a contender: the median, and what lies round it."""
    figures = [one for one in table.figures if any(one[0] in row for rows in found.values() for row in rows)]
    lines = [["", *(heading for _, heading, _ in figures)]]
    lines += [
        [
            one.name,
            *(
                _cell([row[key] for row in found[one.name] if key in row], digits)
                for key, _, digits in figures
            ),
        ]
        for one in chosen
        if one.name in found
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        cells = [
            line[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)),
        ]
        print("  " + "  ".join(cells).rstrip())
    for one in chosen:
        if one.name in found:
            print(f"  {one.name}: {one.what}")
    for target in table.targets:
        _judge(target, found)
    print()


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return "-"
    median = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):,.{digits}f}-{max(values):,.{digits}f})"


def _judge(target: Target, found: Figures) -> None:
    """Says whether a target was reached: by the ratio of each round, or by the figure itself."""
    mine = [row[target.figure] for row in found.get(target.contender, ())]
    if target.against:
        theirs = [row["per_second"] for row in found.get(target.against, ())]
        values = [a / b for a, b in zip(mine, theirs, strict=False)]
        what = f"{target.contender} to {target.against}"
    else:
        values, what = mine, f"{target.contender} {target.figure}"
    if not values:
        return
    median = statistics.median(values)
    reached = (target.least is None or median >= target.least) and (
        target.most is None or median <= target.most
    )
    wanted = f"at least {target.least:g}" if target.least is not None else f"at most {target.most:g}"
    print(f"  {what}: {_cell(values, 2)}, target {wanted}: {'reached' if reached else 'MISSED'}")


def _machine(folder: Path) -> str:
    """The machine and the disk, so that figures can be compared."""
    folder.mkdir(parents=True, exist_ok=True)
    mounts = [
        one for one in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(one.mountpoint)
    ]
    disk = max(mounts, key=lambda one: len(one.mountpoint)).fstype if mounts else "?"
    note = "  (on tmpfs a commit costs nothing: these are no figures of a disk)" if disk == "tmpfs" else ""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, {disk}"
    return f"{system}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}{note}"
