"""The use cases of journals: read one a page at a time, and send an execution what it waits for."""

from nightcrew.crew.commits import After, Commits
from nightcrew.crew.waits import give_signal
from nightcrew.domain.errors import InvalidArgument, NotFound
from nightcrew.domain.execution import Execution
from nightcrew.domain.lifecycle.execution import ExecutionEvent, step
from nightcrew.domain.page import ListQuery, Page
from nightcrew.domain.step import MAX_NAME, Step
from nightcrew.domain.values import checked
from nightcrew.ports.clock import Clock
from nightcrew.ports.reads import Reads
from nightcrew.ports.store import Transaction
from nightcrew.services.once import Request, check_request_id, once
from nightcrew.services.places import read_place, write_place

_LIST = "steps"


class StepService:
    """What callers can do with journals."""

    def __init__(self, *, commits: Commits, reads: Reads, clock: Clock) -> None:
        self._commits = commits
        self._reads = reads
        self._clock = clock

    async def signal(self, execution_id: str, name: str, payload: object, *, request: Request) -> Execution:
        """Hands a signal to the wait that asks for it, or keeps it for the one that will.

        Raises:
            NotFound: There is no such execution.
            FailedPrecondition: It has ended.
            InvalidArgument: The name or the payload is not right.
        """
        check_request_id(request)
        if not 0 < len(name) <= MAX_NAME:
            raise InvalidArgument.of("signal", f"must be text of 1 to {MAX_NAME} characters")
        text = checked(payload, field="payload")
        now = self._clock.now()

        def unit(tx: Transaction, after: After) -> None:
            def do() -> None:
                execution = tx.executions.get(execution_id)
                if execution is None:
                    raise NotFound("execution", execution_id)
                step(execution.state, ExecutionEvent.SIGNAL, execution_id=execution_id)
                give_signal(tx, after, execution, name, text, now=now)

            once(tx, request, now=now, do=do, remember=lambda _: execution_id, recall=lambda _: None)

        await self._commits.run(unit)
        found = await self._reads.execution(execution_id)
        if found is None:
            raise NotFound("execution", execution_id)
        return found

    async def page(self, execution_id: str, query: ListQuery) -> Page[Step]:
        """A page of an execution's journal, in the order in which its steps began.

        Raises:
            NotFound: There is no such execution.
            InvalidArgument: The token is none of ours.
        """
        place = read_place(query.page_token, _LIST) if query.page_token else 0
        if await self._reads.execution(execution_id) is None:
            raise NotFound("execution", execution_id)
        found = await self._reads.steps_after(execution_id, place, limit=query.page_size + 1)
        kept = found[: query.page_size]
        more = len(found) > len(kept)
        return Page([one for _, one in kept], write_place(kept[-1][0], _LIST) if more else "")
