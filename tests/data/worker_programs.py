"""Programs that the tests of the hosts run in worker processes: good, failing, stuck and crashing ones."""

import asyncio, ctypes, logging, os, signal, subprocess, sys, time
import structlog
from nightcrew.agent import Context, NonRetryable, SyncContext

def echo(input):
    return input

async def aecho(input):
    return input

def pid(ctx):
    return os.getpid()

def slow_pid():
    time.sleep(1)
    return os.getpid()

def fails():
    raise KeyError("gone")

def no_json():
    return {1, 2}

def exits():
    sys.exit(4)

def vanishes(ctx):
    print("about to vanish")
    os._exit(3)

def segfaults():
    ctypes.string_at(0)

def allocates():
    held = []
    while True:
        held.append(bytearray(8 * 1024 * 1024))
        time.sleep(0.001)

def counts(ctx):
    ctx.state["n"] = ctx.state.get("n", 0) + 1
    return ctx.state["n"]

def spins(ctx, mark):
    open(mark, "w").close()
    while True:
        pass

def heeds(ctx, mark):
    open(mark, "w").close()
    while not ctx.cancelled:
        time.sleep(0.01)
    return "heeded"

def makes_good(ctx, mark):
    open(mark, "w").close()
    try:
        while True:
            time.sleep(0.005)
    finally:
        print("made good")

def holds_on(ctx, mark):
    open(mark, "w").close()
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            pass

def sleeps(ctx, mark, seconds=600):
    open(mark, "w").close()
    time.sleep(seconds)
    return "slept"

async def asleeps(ctx, mark):
    open(mark, "w").close()
    await asyncio.sleep(600)

async def ablocks(ctx, mark):
    open(mark, "w").close()
    time.sleep(600)

def starts_a_child(ctx, mark):
    child = subprocess.Popen(["sleep", "600"])
    with open(mark + ".tmp", "w") as out:
        out.write(str(child.pid))
    os.rename(mark + ".tmp", mark)
    time.sleep(600)

def speaks(ctx, n):
    print("printed", n)
    logging.getLogger("some").warning("logged %s", n, extra={"n": n})
    structlog.get_logger().info("structured", n=n)
    ctx.log.error("own", n=n)
    print("error", n, file=sys.stderr)

def wrapped(n):
    async def inner():
        await asyncio.sleep(0)
        return n
    return inner()

def floods(lines):
    for n in range(lines):
        print("line", n)

def big(size):
    return "x" * size

def talks_nonsense():
    for fd in range(3, 30):
        try:
            os.write(fd, b"\xff" * 64)
        except OSError:
            pass
    time.sleep(600)

def raw():
    os.write(1, b"raw bytes of the process\n")


def steps_sync(ctx: SyncContext, until: str = ""):
    """Journals from a thread; what the desk refuses takes it out."""
    try:
        total = ctx.step("add", lambda a, b: a + b, 1, 2)
        ctx.heartbeat()
        if until == "wait":
            ctx.wait_signal("go")
        return total
    except Exception as error:  # noqa: BLE001 - it must not see how it is left
        return repr(error)


async def saves(ctx: Context) -> str:
    """Saves its state, and would go on whatever that says."""
    ctx.state["seen"] = 1
    try:
        await ctx.save_state()
    except Exception as error:  # noqa: BLE001 - it must not see how it is left
        return repr(error)
    return "saved"


async def steps_async(ctx: Context, until: str = ""):
    """Journals from the worker's loop, two at once."""
    try:
        one, two = await asyncio.gather(ctx.step("add", sum, [1]), ctx.step("add", sum, [2]))
        ctx.heartbeat()
        if until == "wait":
            await ctx.wait_signal("go")
        return one + two
    except Exception as error:  # noqa: BLE001 - it must not see how it is left
        return repr(error)
