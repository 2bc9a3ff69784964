"""What an agent's author imports: the decorator, its triggers and policies, and the Context of a run."""

from nightcrew.agent.context import Context, SyncContext
from nightcrew.agent.definition import agent
from nightcrew.agent.errors import BudgetExceeded, CallFailed, NonRetryable, StateUnavailable, StepFailed
from nightcrew.agent.limits import Limits
from nightcrew.agent.retry import Restart, Retry
from nightcrew.agent.triggers import at, civil, cron, every, on_event, on_webhook, resident

__all__ = [
    "BudgetExceeded",
    "CallFailed",
    "Context",
    "Limits",
    "NonRetryable",
    "Restart",
    "Retry",
    "StateUnavailable",
    "StepFailed",
    "SyncContext",
    "agent",
    "at",
    "civil",
    "cron",
    "every",
    "on_event",
    "on_webhook",
    "resident",
]
