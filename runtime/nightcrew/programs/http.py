"""HTTP programs: the input is sent as JSON, a JSON answer is the result, other answers are failures by their status."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from nightcrew.domain.retry_after import rest_after
from nightcrew.domain.secrets import without
from nightcrew.domain.spec.program import WITHOUT_BODY, HttpProgram
from nightcrew.domain.values import encode
from nightcrew.ports.host import Job
from nightcrew.ports.outbound import Answer, AnswerTooLarge, OutboundFailed, OutboundRefused, Outgoing, WayOut
from nightcrew.programs.errors import HttpError
from nightcrew.programs.failure import shorten
from nightcrew.programs.result import TOO_LARGE, read_json

REDIRECTS: Final = 5
_EXCERPT: Final = 1024
_TOO_MANY_REQUESTS: Final = 429
_SERVER_FAULT: Final = 500
_GOOD: Final = range(200, 300)


class HttpRunner:
    """Runs HTTP programs, on the event loop.

    Args:
        way_out: Where requests go out.
        agent: The User-Agent.
        now: The wall clock: a Retry-After may be a date.
    """

    def __init__(self, way_out: WayOut, *, agent: str, now: Callable[[], datetime]) -> None:
        self._way_out = way_out
        self._agent = agent
        self._now = now

    async def run(self, job: Job) -> Any:
        """Sends the request and gives what its answer says.

        Raises:
            HttpError: There was no answer, or its status is not 2xx.
        """
        program = job.program.http
        if program is None:
            raise TypeError(f"{job.program.kind} is no HTTP program")
        try:
            answer = await self._way_out.send(self._request(program, job))
        except OutboundRefused as error:
            raise self._failed(job, error.code, error.message, retryable=False) from None
        except AnswerTooLarge as error:
            raise self._failed(job, TOO_LARGE, error.message, retryable=False) from None
        except OutboundFailed as error:
            raise self._failed(job, f"http_{error.reason}", error.message, retryable=True) from None
        if answer.status not in _GOOD:
            raise self._refused(job, answer)
        return _result(answer, job.hidden)

    def _request(self, program: HttpProgram, job: Job) -> Outgoing:
        method = program.method or "POST"
        headers = {"accept": "application/json, */*;q=0.5", "user-agent": self._agent}
        # The same for every attempt of the execution, so that the other side can tell a repetition.
        headers["idempotency-key"] = job.execution_id
        body = None
        if method not in WITHOUT_BODY:
            body = encode(job.input).encode()
            headers["content-type"] = "application/json"
        headers |= {name.lower(): value for name, value in program.headers.items()}
        return Outgoing(
            method=method,
            url=program.url,
            headers=headers,
            body=body,
            timeout=program.timeout.total_seconds() if program.timeout else None,
            redirects=REDIRECTS,
        )

    def _refused(self, job: Job, answer: Answer) -> HttpError:
        status = answer.status
        excerpt = shorten(without(_text(answer), job.hidden).strip(), _EXCERPT)
        return self._failed(
            job,
            f"http_{status}",
            f"the endpoint answered {status}" + (f": {excerpt}" if excerpt else ""),
            retryable=status == _TOO_MANY_REQUESTS or status >= _SERVER_FAULT,
            retry_after=rest_after(status, answer.headers.get("retry-after"), now=self._now()),
        )

    @staticmethod
    def _failed(
        job: Job, type_name: str, message: str, *, retryable: bool, retry_after: float = 0.0
    ) -> HttpError:
        return HttpError(
            without(message, job.hidden), type_name=type_name, retryable=retryable, retry_after=retry_after
        )


def _result(answer: Answer, hidden: tuple[str, ...]) -> Any:
    """JSON where it says so, or says nothing and is; else its text; None where there is none."""
    text = without(_text(answer), hidden)
    if not text:
        return None
    kind = _media_type(answer)
    if kind and kind != "application/json" and not kind.endswith("+json"):
        return text
    try:
        return read_json(text)
    except ValueError:
        return text


def _media_type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _text(answer: Answer) -> str:
    _, _, charset = answer.headers.get("content-type", "").lower().partition("charset=")
    try:
        return answer.body.decode(charset.partition(";")[0].strip("\" '") or "utf-8", "replace")
    except (LookupError, UnicodeError):
        return answer.body.decode("utf-8", "replace")
