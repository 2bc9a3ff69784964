"""What becomes of the secrets of an agent's hooks when its spec is written: given anew, kept, dropped or missing."""

from collections.abc import Mapping
from dataclasses import dataclass

from nightcrew.domain.spec.agent import AgentSpec
from nightcrew.domain.spec.trigger import Trigger, WebhookScheme
from nightcrew.domain.webhook.schemes import effective


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What a new spec means for the secrets.

    Attributes:
        given: The secrets that are given, by the trigger's id: they replace what is kept.
        dropped: The ids of triggers that have secrets and need none any more.
        missing: The indexes of triggers that need secrets, have none that fit, and are given none.
    """

    given: Mapping[str, tuple[str, ...]]
    dropped: tuple[str, ...]
    missing: tuple[int, ...]


def keeping(spec: AgentSpec, before: AgentSpec | None) -> Keeping:
    """Secrets are of one scheme: a trigger that changes it needs others, one that keeps it keeps its own."""
    had = {one.id: scheme for one in before.triggers if (scheme := _proving(one))} if before else {}
    has = {one.id: scheme for one in spec.triggers if (scheme := _proving(one))}
    given = {one.id: one.webhook.secrets for one in spec.triggers if one.webhook and one.webhook.secrets}
    return Keeping(
        given=given,
        dropped=tuple(name for name in had if name not in has),
        missing=tuple(
            index
            for index, one in enumerate(spec.triggers)
            if one.id in has and one.id not in given and had.get(one.id) != has[one.id]
        ),
    )


def without_secrets(spec: AgentSpec) -> AgentSpec:
    """The spec as it is kept and shown."""
    if not any(one.webhook and one.webhook.secrets for one in spec.triggers):
        return spec
    return spec.model_copy(update={"triggers": tuple(map(_bare, spec.triggers))})


def _bare(trigger: Trigger) -> Trigger:
    if trigger.webhook is None or not trigger.webhook.secrets:
        return trigger
    return trigger.model_copy(update={"webhook": trigger.webhook.model_copy(update={"secrets": ()})})


def _proving(trigger: Trigger) -> WebhookScheme | None:
    """The scheme of a hook that asks for proof."""
    scheme = effective(trigger.webhook) if trigger.webhook is not None else WebhookScheme.NONE
    return None if scheme is WebhookScheme.NONE else scheme
