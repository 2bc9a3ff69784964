"""The entry point: what must be set before gRPC is loaded, then the command line."""

import os


def main() -> None:
    """Runs the command line.

    gRPC's fork handlers crash children that uvloop forks (2 of 150 in a trial; none without them), so an
    agent that starts a subprocess would fail now and then. Nothing in Nightcrew forks with gRPC in use.
    """
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # noqa: TID251 - read by gRPC when it is loaded
    from nightcrew.cli.main import main as run  # noqa: PLC0415 - gRPC must not be loaded before

    run()
