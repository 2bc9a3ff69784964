"""Errors of programs: code that can't be loaded, an input that is not taken, flows and endpoints that fail."""

from nightcrew.domain.errors import NightcrewError
from nightcrew.domain.execution import ExecutionError

LOAD: str = "program_load"
INVALID_INPUT: str = "invalid_input"


class LoadError(NightcrewError):
    """A program's code can't be loaded.

    Args:
        message: What is wrong, without the place.
        path: The file.
        line: The line in it, 0 if there is none to name.
        traceback: The exception's traceback, where code of the file raised.
    """

    code = LOAD

    def __init__(self, message: str, *, path: str, line: int = 0, traceback: str = "") -> None:
        where = f"{path}:{line}" if line else path
        super().__init__(f"{where}: {message}", metadata={"path": path, "line": str(line)})
        self.path = path
        self.line = line
        self.reason = message
        self.traceback = traceback

    def to_execution_error(self) -> ExecutionError:
        """The error as an execution carries it."""
        return ExecutionError(type=LOAD, message=self.message, traceback=self.traceback, retryable=False)


class InvalidInput(NightcrewError):  # noqa: N818 - named like the domain's errors
    """The input does not fit what the program takes; trying again would not help."""

    code = INVALID_INPUT


class HttpError(Exception):
    """An endpoint did not do what it was asked to, or could not be asked.

    Args:
        message: What happened, without secrets.
        type_name: Such as `http_404`.
        retryable: Whether trying again may help.
        retry_after: Seconds that the endpoint wants to be left alone.
    """

    def __init__(self, message: str, *, type_name: str, retryable: bool, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.message = message
        self.type_name = type_name
        self.retryable = retryable
        self.retry_after = retry_after

    def to_execution_error(self) -> ExecutionError:
        """The error as an execution carries it."""
        return ExecutionError(type=self.type_name, message=self.message, retryable=self.retryable)


class FlowError(Exception):
    """A component of a flow failed, or the flow answered with an error.

    Args:
        message: What it said.
        type_name: The class of the component's own exception.
        traceback: Its traceback.
    """

    def __init__(self, message: str, *, type_name: str = "FlowError", traceback: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.type_name = type_name
        self.traceback = traceback

    def to_execution_error(self) -> ExecutionError:
        """The error as an execution carries it."""
        return ExecutionError(type=self.type_name, message=self.message, traceback=self.traceback)
