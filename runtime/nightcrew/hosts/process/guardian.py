"""How a process, and all that it starts, dies with the runtime: a parent-death signal, and a guardian beside it.

The kernel's parent-death signal ends the process alone: what it had started would live on. The guardian waits for the
end of a pipe that the runtime holds, and ends the whole group. Each command begins with this: it imports what starts
quickly only, and nothing that is not in the standard library.
"""

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die() -> None:
    """Ends this process and everything it started, at once: the runtime has gone, nobody takes results."""
    try:
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
    finally:
        os._exit(1)


def bind_to_parent(parent: int) -> None:
    """Linux: have the kernel kill this process when its parent dies, whatever its threads do then."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _offer_to_the_kernel()
    if os.getppid() != parent:
        die()


def _offer_to_the_kernel() -> None:
    """When memory runs out the kernel is to take this process, not the runtime."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib takes 10 ms to load
            file.write("500")
    except OSError:
        return


def post_guardian(pipe: int) -> None:
    """Starts the guardian of this process's group; called once, before there are threads.

    It is a fork, not a fresh interpreter: it only waits, shares nearly all its memory, and runs nothing of
    what the worker loads later. It is nobody's child, so that no program ever waits for it.
    """
    group = os.getpgrp()
    if group != os.getpid():
        return  # started by hand, in a group that is not its own to end
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:
            _guard(pipe, group)
    finally:
        os._exit(0)


def _guard(pipe: int, group: int) -> None:
    for standard in (0, 1, 2):
        os.close(standard)
    # The group may be asked to end and have a while for it: until it has, it is guarded.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    poll = select.poll()
    # No event is asked for: an end is always told, and what arrives is the worker's to read.
    poll.register(pipe, 0)
    while not poll.poll():
        pass
    os.killpg(group, signal.SIGKILL)
