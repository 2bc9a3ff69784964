"""The secrets of an agent's hooks, asked for and written with its spec, in the spec's own transaction."""

from collections.abc import Sequence
from typing import Final

from nightcrew.domain.errors import FieldViolation, InvalidArgument, SecretUnavailable
from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.domain.webhook.keeping import keeping
from nightcrew.domain.webhook.schemes import secret_flaw
from nightcrew.ports.store import Transaction

_MISSING: Final = "needs a secret of its scheme; SCHEME_NONE, which asks nobody for proof, must be said"


def check_secrets(spec: AgentSpec, before: AgentSpec | None, *, field: str) -> None:
    """Whether every hook that asks for proof has secrets of its scheme: given now, or kept from before.

    Raises:
        InvalidArgument: Names every hook that has none, or wrong ones, and shows none of them.
    """
    missing = keeping(spec, before).missing
    found = []
    for index, trigger in enumerate(spec.triggers):
        why = _MISSING if index in missing else secret_flaw(trigger.webhook) if trigger.webhook else ""
        if why:
            found.append(FieldViolation(f"{field}.triggers[{index}].webhook.secrets", why))
    if found:
        raise InvalidArgument("; ".join(f"{v.field}: {v.description}" for v in found), violations=found)


def changed_secrets(
    tx: Transaction, agent_id: str, spec: AgentSpec, before: AgentSpec | None
) -> dict[str, Sequence[str]]:
    """The secrets that differ from those that are kept, by the trigger's id; none given means that they go."""
    what = keeping(spec, before)
    dropped: dict[str, Sequence[str]] = dict.fromkeys(what.dropped, ())
    return dropped | {
        name: secrets
        for name, secrets in what.given.items()
        if before is None or _kept(tx, agent_id, name) != secrets
    }


def write_secrets(tx: Transaction, agent_id: str, spec: AgentSpec, before: AgentSpec | None) -> bool:
    """Writes the secrets that a spec brings and drops those it has no use for; whether anything changed.

    Raises:
        SecretUnavailable: There is no key to seal them with.
    """
    changed = changed_secrets(tx, agent_id, spec, before)
    for name, secrets in changed.items():
        if secrets:
            tx.hooks.keep_secrets(agent_id, name, secrets)
        else:
            tx.hooks.drop_secrets(agent_id, name)
    return bool(changed)


def _kept(tx: Transaction, agent_id: str, trigger_id: str) -> tuple[str, ...]:
    try:
        return tx.hooks.secrets(agent_id, trigger_id)
    except SecretUnavailable:
        return ()  # they are lost: those that are given take their place
