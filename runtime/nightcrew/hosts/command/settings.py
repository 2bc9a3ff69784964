"""What commands may take of the machine."""

import os
from dataclasses import dataclass
from typing import Final

GIB: Final = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings:
    """Bounds of commands; 0 is none, save for `at_once`.

    Attributes:
        at_once: Commands that run at once; the others wait in order. 0 is eight for each CPU.
        memory: Bytes of resident memory of a command with all that it started (watched twice a second).
        processes: Processes of a command, it included (watched likewise).
        cpu_seconds: CPU time of each of its processes (the kernel's limit).
        file_size: Bytes of each file that it writes (the kernel's limit).
    """

    at_once: int = 0
    memory: int = 2 * GIB
    processes: int = 256
    cpu_seconds: int = 0
    file_size: int = 4 * GIB

    @property
    def places(self) -> int:
        """`at_once`, its default resolved."""
        return self.at_once or 8 * max(1, os.cpu_count() or 1)
