"""Process groups as the kernel shows them: what each takes, and what an earlier life of the runtime left behind."""

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass

import psutil
import structlog

from nightcrew.programs.command import RUNTIME

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Usage:
    """What the processes of a group take together; the guardian among them is not counted."""

    memory: int = 0
    processes: int = -1


def usage_of(groups: Collection[int]) -> dict[int, Usage]:
    """What each of these groups takes now, in one look at all processes."""
    found = {group: Usage() for group in groups}
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            usage = found.get(os.getpgid(pid))
            if usage is not None:
                usage.processes += 1
                usage.memory += psutil.Process(pid).memory_info().rss
    return found


def kill_survivors(mark: str) -> int:
    """Kills every process that bears the mark of this data folder; returns how many there were.

    Called once the folder is this runtime's and before anything is started: whatever bears the mark is a command of
    an earlier life whose guardian was killed, too, or that left its group.
    """
    count = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(RUNTIME) == mark:
                _log.warning(
                    "killing what an earlier runtime left behind", pid=process.pid, command=process.name()
                )
                process.kill()
                count += 1
    return count
