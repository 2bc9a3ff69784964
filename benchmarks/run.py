"""`make bench`: measures the bursts, the schedules and the peers side by side, and says where targets are missed.

Each contender runs in a fresh process and folder; the contenders of a table take turns for some rounds, so that
a slow minute of the machine meets all of them. Everything has a time limit.

    python benchmarks/run.py                        all of it, some five minutes on two cores
    python benchmarks/run.py --only burst           one table, or some contenders: --only batch --only huey
    python benchmarks/run.py --rounds 1 --n 5000    a quick look
    python benchmarks/run.py --profile each         where the time of one contender goes, by cProfile
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Reads the flags and hands them on; exit code 1 if a contender failed."""
    # The folder of this file comes first when it is run as a script; `benchmarks` is found from its parent.
    sys.path[0] = str(ROOT)
    from benchmarks.contenders import CONTENDERS, TABLES
    from benchmarks.profiling import profile
    from benchmarks.rounds import child, compare

    names = [one.name for one in CONTENDERS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        choices=[*TABLES, *names],
        help=", ".join([*TABLES, *names]),
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn (default: 3)")
    parser.add_argument(
        "--n", type=int, default=None, help="executions of a burst, or agents (default: the targets')"
    )
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "bench", help="where files are made; not on tmpfs"
    )
    parser.add_argument("--profile", metavar="NAME", choices=names, help="profile one contender instead")
    parser.add_argument("--child", metavar="NAME", choices=names, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder, options.n)
        return 0
    if options.profile:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        profile(options.profile, options.folder, options.n)
        return 0
    return compare(options.only or list(TABLES), rounds=options.rounds, n=options.n, folder=options.folder)


if __name__ == "__main__":
    sys.exit(main())
