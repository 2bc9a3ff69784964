"""Settings: flags over variables over the file, and faults that name what is wrong."""

import pytest

from nightcrew.config.settings import load_settings
from nightcrew.domain.addresses import Allowed
from nightcrew.domain.errors import InvalidArgument


@pytest.fixture(autouse=True)
def _nothing_from_outside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(tmp_path, text):
    (tmp_path / "nightcrew.toml").write_text(text)
    return load_settings()


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("", Allowed()),
        ("allow_private = false", Allowed()),
        ("allow_private = true", Allowed(private=True)),
        ('allow_private = ["10.0.0.0/8", "ollama.lan"]', Allowed.of(["10.0.0.0/8", "ollama.lan"])),
        ("allow_private = []", Allowed()),
    ],
)
def test_what_is_allowed_besides_public_addresses(tmp_path, text, allowed):
    assert written(tmp_path, text).allowed == allowed


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("true", Allowed(private=True)),
        ("0", Allowed()),
        ("::1, db.lan", Allowed.of(["::1", "db.lan"])),
        ("", Allowed()),
    ],
)
def test_the_same_from_the_environment(monkeypatch, text, allowed):
    monkeypatch.setenv("NIGHTCREW_ALLOW_PRIVATE", text)
    assert load_settings().allowed == allowed


@pytest.mark.parametrize(
    "text", ['allow_private = ["10.0.0.0/99"]', 'allow_private = ["not a name"]', "allow_private = 3.5"]
)
def test_what_is_no_name_or_network_is_named(tmp_path, text):
    with pytest.raises(InvalidArgument) as caught:
        written(tmp_path, text)
    assert {violation.field.split(".")[0] for violation in caught.value.violations} == {"allow_private"}
