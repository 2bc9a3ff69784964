"""The first moments of a command's process: bound to the runtime, guarded and limited, it becomes the command.

Run by its path, with the standard library alone (`python -I -S`) and little of that, so that it takes 15 ms of CPU time
and nothing of the command's environment or folder is loaded into it. An exec keeps the process: its id, its group, the
parent-death signal.
"""

import os
import resource
import signal
import sys

sys.path.append(os.path.abspath(f"{__file__}/../../../.."))  # noqa: PTH100 - pathlib takes 10 ms to load

from nightcrew.hosts.process.guardian import bind_to_parent, post_guardian

CAN_NOT_RUN = 126
"""What shells exit with when a command is there, but can't be executed."""


def main() -> None:
    """`launcher.py PIPE PARENT CPU_SECONDS FILE_SIZE PROGRAM ARGV…`."""
    pipe, parent, cpu_seconds, file_size = map(int, sys.argv[1:5])
    program, *argv = sys.argv[5:]
    bind_to_parent(parent)
    post_guardian(pipe)
    os.set_inheritable(pipe, False)
    _limit(resource.RLIMIT_CORE, 0)
    if cpu_seconds:
        _limit(resource.RLIMIT_CPU, cpu_seconds)
    if file_size:
        _limit(resource.RLIMIT_FSIZE, file_size)
    # Python ignores these, and what is ignored stays so through an exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execv(program, argv)  # noqa: S606 - it becomes the command that a file of the user's names
    except OSError as error:
        os.write(2, f"nightcrew: {program} can't be executed: {error.strerror}\n".encode())
        os._exit(CAN_NOT_RUN)


def _limit(kind: int, value: int) -> None:
    """Sets a limit; the hard one lies a little higher, for a process that was told to end to do so."""
    _, hard = resource.getrlimit(kind)
    most = value + 5 if hard == resource.RLIM_INFINITY else min(value + 5, hard)
    resource.setrlimit(kind, (min(value, most), most))


if __name__ == "__main__":
    main()
