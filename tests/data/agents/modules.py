"""Tells what is loaded in the runtime's own process."""

import os
import sys

from nightcrew.agent import agent


@agent
async def modules() -> dict[str, object]:
    return {"pid": os.getpid(), "packages": sorted({name.partition(".")[0] for name in sys.modules})}
