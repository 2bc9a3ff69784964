"""Where the time of one contender goes: cProfile in every thread, the hottest functions of each."""

import asyncio
import cProfile
import inspect
import pstats
import shutil
import threading
from pathlib import Path
from types import FrameType

from benchmarks.contenders import contender

SHOWN = 40


def profile(name: str, folder: Path, n: int | None) -> None:
    """Runs a contender once under cProfile and prints a table for each thread that did something.

    On asyncio's own loop, because uvloop's callbacks would hide behind it. Other processes are not seen.
    """
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    profiles: dict[str, cProfile.Profile] = {}

    def begin(_frame: FrameType, _event: str, _arg: object) -> None:
        # Called once at the first event of a thread: enabling the profile takes this hook's place there.
        mine = profiles[threading.current_thread().name] = cProfile.Profile()
        mine.enable()

    one = contender(name)
    threading.setprofile(begin)
    main = profiles["main"] = cProfile.Profile()
    main.enable()
    try:
        outcome = (one.profiled or one.run)(place, n=n or one.n)
        if inspect.iscoroutine(outcome):
            asyncio.run(outcome)
    finally:
        main.disable()
        threading.setprofile(None)
        shutil.rmtree(place, ignore_errors=True)
    for thread, found in profiles.items():
        stats = pstats.Stats(found)
        if stats.total_tt > 0.05:  # type: ignore[attr-defined]  # typeshed leaves it out
            print(f"\n=== thread {thread}")
            stats.strip_dirs().sort_stats("tottime").print_stats(SHOWN)
