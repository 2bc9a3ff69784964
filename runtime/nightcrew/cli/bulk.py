"""What is done to all executions that a filter finds: counted, asked about, then done."""

import sys
from collections.abc import Callable, Coroutine
from typing import Any

import typer

from nightcrew.cli.connection import Session
from nightcrew.cli.refusal import DONE, REFUSED, WrongUse
from nightcrew.client.models.execution import BulkOutcome

Doing = Callable[[bool], Coroutine[Any, Any, BulkOutcome]]


async def do_to_all(session: Session, verb: str, do: Doing, *, dry_run: bool, yes: bool) -> int:
    """Shows how many there are, asks, then does it; 1 where it could not be done to some.

    Args:
        session: Where to.
        verb: What is done to them: `cancelled`.
        do: Does it, or only counts.
        dry_run: Only count.
        yes: Do not ask.
    """
    asks = sys.stdin.isatty()
    if not (dry_run or yes or asks):
        raise WrongUse("--yes", "nobody is there to be asked: say --yes, or --dry-run to only count")
    if dry_run or not yes:
        found = await do(True)
        session.printer.remark(f"{found.matched} would be {verb}")
        if dry_run:
            session.printer.one(found, {"matched": str(found.matched)})
            return DONE
        if not found.matched or not typer.confirm("Do it?", err=True):
            return REFUSED
    outcome = await do(False)
    session.printer.one(outcome, _rows(outcome, verb))
    for one in outcome.failures:
        print(f"{one.execution_id}: {one.message} ({one.reason})", file=sys.stderr)
    return REFUSED if outcome.failed else DONE


def _rows(outcome: BulkOutcome, verb: str) -> dict[str, str]:
    return {"matched": str(outcome.matched), verb: str(outcome.done), "failed": str(outcome.failed or "")}
