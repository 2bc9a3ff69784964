"""`nightcrew executions logs`: what an execution said, and what it is saying."""

from typing import Annotated

import typer

from nightcrew.cli.connection import Session, control
from nightcrew.cli.executions import ExecutionId, app
from nightcrew.cli.happenings import Happenings
from nightcrew.cli.inputs import all_of, any_of, member
from nightcrew.cli.output import Format
from nightcrew.cli.refusal import WrongUse
from nightcrew.client.models.log import LogEntry, LogStream


@control(app, "logs")
async def logs(
    session: Session,
    execution: ExecutionId,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the execution has ended.")
    ] = False,
    stream: Annotated[
        list[str] | None, typer.Option("--stream", help="Only this one: log, stdout, stderr or token.")
    ] = None,
    filter_: Annotated[
        str,
        typer.Option(
            "--filter", help='In AIP-160\'s language: severity = "SEVERITY_ERROR". Not with --follow.'
        ),
    ] = "",
) -> None:
    """Show what an execution said: its log, what it printed, and tokens of language models in their place.

    With --output json it is an array, with --follow a line an entry.

    Examples:
      nightcrew executions logs 0198c0de-0000-7000-8000-000000000001
      nightcrew executions logs -f 0198c0de-0000-7000-8000-000000000001
      nightcrew executions logs 0198c0de-0000-7000-8000-000000000001 --stream token
    """
    streams = [member(LogStream, one, "--stream") for one in stream or ()]
    happenings = Happenings(session.printer)
    if follow:
        if filter_:
            raise WrongUse("--filter", "can't be used with --follow; --stream can")
        async with session.client.executions.watch(execution) as watch:
            async for item in watch:
                if isinstance(item, LogEntry) and (not streams or item.stream in streams):
                    happenings.show(item)
        happenings.end()
        return
    pages = session.client.executions.logs(execution, filter=all_of(filter_, any_of("stream", streams)))
    if session.printer.format is not Format.TABLE:
        session.printer.value([entry async for entry in pages])
        return
    async for entry in pages:
        happenings.show(entry)
    happenings.end()
