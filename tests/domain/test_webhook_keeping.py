"""What becomes of hooks' secrets when a spec is written, over every change of a trigger; and that no form has them."""
# ruff: noqa: S105 - the secrets of a test are its data

import itertools

import pytest

from nightcrew.domain.spec.agent import AgentSpec, Manifest
from nightcrew.domain.webhook.keeping import keeping, without_secrets

SECRET = "hush-hush"
CRON = {"schedule": {"cron": {"expression": "@daily"}}}


def spec(*triggers):
    program = {"python": {"entrypoint": "a:b"}}
    return AgentSpec.parse({"program": program, "triggers": [{"id": "t", **one} for one in triggers]})


def hook(scheme, *secrets):
    return {"webhook": {"scheme": f"SCHEME_{scheme}", "secrets": list(secrets)}}


# Before, in words: none, another trigger, a hook of a scheme. None of what is stored has secrets.
BEFORE = {
    "absent": None,
    "cron": CRON,
    "NONE": hook("NONE"),
    "GITHUB": hook("GITHUB"),
    "STRIPE": hook("STRIPE"),
}
AFTER = {
    "absent": None,
    "cron": CRON,
    "NONE": hook("NONE"),
    "GITHUB": hook("GITHUB"),
    "GITHUB new": hook("GITHUB", SECRET),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(BEFORE, AFTER)))
def test_every_change_of_a_trigger(before, after):
    old = spec(*([BEFORE[before]] if BEFORE[before] else []))
    new = spec(*([AFTER[after]] if AFTER[after] else []))
    found = keeping(new, old)
    assert found.given == ({"t": (SECRET,)} if after == "GITHUB new" else {})
    assert found.dropped == (("t",) if before in {"GITHUB", "STRIPE"} and "GITHUB" not in after else ())
    assert found.missing == ((0,) if after == "GITHUB" and before != "GITHUB" else ())


def test_a_scheme_that_is_not_said_is_standard():
    assert keeping(spec(hook("UNSPECIFIED")), spec(hook("STANDARD"))).missing == ()
    assert keeping(spec(hook("UNSPECIFIED")), None).missing == (0,)
    assert keeping(spec(hook("UNSPECIFIED")), spec(hook("NONE"))).missing == (0,)


def test_no_form_of_a_spec_has_a_secret():
    whole = spec(CRON | {"id": "c"}, hook("GITHUB", SECRET))
    for form in (
        repr(whole),
        str(whole),
        repr(Manifest(id="a", spec=whole)),
        str(whole.to_json()),
        str(whole.model_dump()),
        whole.model_dump_json(),
        whole.model_dump_json(exclude_defaults=True),
    ):
        assert SECRET not in form
    bare = without_secrets(whole)
    assert bare.triggers[1].webhook.secrets == ()
    assert bare == spec(CRON | {"id": "c"}, hook("GITHUB"))
    assert without_secrets(bare) is bare
