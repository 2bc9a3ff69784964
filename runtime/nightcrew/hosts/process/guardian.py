"""A tiny process beside each worker that ends the worker's whole group when the runtime has gone.

The worker itself notices its pipe's end only while Python runs in it, and the kernel's parent-death signal
ends it alone: what it had started would live on. The guardian waits for the end of the same pipe.
"""

import os
import select
import signal


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
    poll = select.poll()
    # No event is asked for: an end is always told, and what arrives is the worker's to read.
    poll.register(pipe, 0)
    while not poll.poll():
        pass
    os.killpg(group, signal.SIGKILL)
