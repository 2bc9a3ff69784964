"""Secrets: what is sealed opens only where it belongs, keys that are gone or wrong are told, names are found."""

import base64
import stat
import threading

import pytest

from nightcrew.config.settings import load_settings
from nightcrew.domain.errors import InvalidArgument, SecretUnavailable
from nightcrew.system.secrets import SystemSecrets

KEY = base64.b64encode(bytes(range(32))).decode()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_sealed_opens_again_also_in_another_process(tmp_path):
    sealed = SystemSecrets(tmp_path).seal("hush é", bound_to="digest/github")
    assert b"hush" not in sealed
    assert SystemSecrets(tmp_path).open(sealed, bound_to="digest/github") == "hush é"
    key = tmp_path / "secret.key"
    assert mode(key) == 0o600
    assert len(base64.b64decode(key.read_bytes())) == 32
    assert list(tmp_path.iterdir()) == [key]


def test_the_same_text_is_never_sealed_to_the_same(tmp_path):
    secrets = SystemSecrets(tmp_path)
    assert len({secrets.seal("x", bound_to="a") for _ in range(100)}) == 100
    assert len({secrets.fingerprint("x") for _ in range(3)}) == 1
    assert secrets.fingerprint("x") != secrets.fingerprint("y")
    assert secrets.fingerprint("x") != SystemSecrets(tmp_path, key=KEY).fingerprint("x")


def test_it_opens_only_where_it_belongs_and_unchanged(tmp_path):
    secrets = SystemSecrets(tmp_path)
    sealed = secrets.seal("hush", bound_to="digest/github")
    changed = [sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :] for i in range(len(sealed))]
    for wrong in (b"", sealed[:5], sealed[:-1], *changed):
        with pytest.raises(SecretUnavailable):
            secrets.open(wrong, bound_to="digest/github")
    with pytest.raises(SecretUnavailable, match="does not open"):
        secrets.open(sealed, bound_to="digest/other")


def test_a_key_from_the_environment_leaves_no_file(tmp_path):
    secrets = SystemSecrets(tmp_path, key=KEY)
    sealed = secrets.seal("hush", bound_to="a")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SecretUnavailable, match=r"secret\.key is gone"):
        SystemSecrets(tmp_path).open(sealed, bound_to="a")
    with pytest.raises(SecretUnavailable, match=r"NIGHTCREW_SECRET_KEY.*is not the one"):
        SystemSecrets(tmp_path, key=base64.b64encode(bytes(32)).decode()).open(sealed, bound_to="a")


def test_a_key_that_is_gone_is_told_and_mended_without_a_restart(tmp_path):
    sealed = SystemSecrets(tmp_path).seal("hush", bound_to="a")
    key = (tmp_path / "secret.key").read_bytes()
    (tmp_path / "secret.key").unlink()
    secrets = SystemSecrets(tmp_path)
    with pytest.raises(SecretUnavailable, match="is gone"):
        secrets.open(sealed, bound_to="a")
    assert not (tmp_path / "secret.key").exists(), "reading makes no key"
    (tmp_path / "secret.key").write_bytes(key)
    assert secrets.open(sealed, bound_to="a") == "hush"


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe" * 20, base64.b64encode(bytes(16))])
def test_a_file_that_holds_no_key_is_told_and_left(tmp_path, content):
    (tmp_path / "secret.key").write_bytes(content)
    with pytest.raises(SecretUnavailable, match=r"secret\.key must be 32 bytes"):
        SystemSecrets(tmp_path).seal("x", bound_to="a")
    assert (tmp_path / "secret.key").read_bytes() == content


def test_a_key_that_others_can_read_is_kept_from_them(tmp_path):
    SystemSecrets(tmp_path).seal("x", bound_to="a")
    (tmp_path / "secret.key").chmod(0o644)
    SystemSecrets(tmp_path).seal("x", bound_to="a")
    assert mode(tmp_path / "secret.key") == 0o600


def test_a_key_file_that_is_a_folder_or_has_none_is_told(tmp_path):
    (tmp_path / "secret.key").mkdir()
    with pytest.raises(SecretUnavailable, match="can't be used"):
        SystemSecrets(tmp_path).seal("x", bound_to="a")
    with pytest.raises(SecretUnavailable, match="can't be made"):
        SystemSecrets(tmp_path / "gone").seal("x", bound_to="a")


def test_two_that_make_the_key_at_once_have_one(tmp_path):
    many = [SystemSecrets(tmp_path) for _ in range(8)]
    start, sealed = threading.Barrier(8), []

    def seal(one):
        start.wait()
        sealed.append(one.seal("x", bound_to="a"))

    threads = [threading.Thread(target=seal, args=(one,)) for one in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [many[0].open(one, bound_to="a") for one in sealed] == ["x"] * 8
    assert [one.name for one in tmp_path.iterdir()] == ["secret.key"]


def test_secrets_by_name_the_environment_first(tmp_path):
    secrets = SystemSecrets(tmp_path, environ={"NIGHTCREW_SECRET_A": "from the environment"})
    folder = tmp_path / "secrets"
    with pytest.raises(
        SecretUnavailable, match=r"NIGHTCREW_SECRET_B of the runtime nor the file .*/secrets/B"
    ):
        secrets.named("B")
    folder.mkdir()
    (folder / "A").write_text("from the file")
    (folder / "B").write_text("one\ntwo\n")
    assert secrets.named("A") == "from the environment"
    assert secrets.named("B") == "one\ntwo"
    (folder / "B").write_text("changed\r\n")
    assert secrets.named("B") == "changed"


def test_names_that_are_none_and_files_that_are_no_secrets(tmp_path):
    secrets = SystemSecrets(tmp_path, environ={"NIGHTCREW_SECRET_KEY": KEY})
    for name in ("", ".", "..", "../secret.key", "a/b", "KEY", "a.b"):
        with pytest.raises(SecretUnavailable, match="no name") as caught:
            secrets.named(name)
        assert KEY not in str(caught.value)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "big").write_bytes(b"x" * 70_000)
    (tmp_path / "secrets" / "raw").write_bytes(b"\xff")
    (tmp_path / "secrets" / "folder").mkdir()
    for name, what in (("big", "over"), ("raw", "UTF-8"), ("folder", "there is no secret")):
        with pytest.raises(SecretUnavailable, match=what):
            secrets.named(name)


def test_new_secrets_are_standard_and_differ(tmp_path):
    made = {SystemSecrets(tmp_path).new() for _ in range(10)}
    assert len(made) == 10
    assert all(len(base64.b64decode(one.removeprefix("whsec_"))) == 32 for one in made)
    assert list(tmp_path.iterdir()) == []


def test_the_setting_is_checked_and_never_shown(monkeypatch):
    monkeypatch.setenv("NIGHTCREW_SECRET_GITHUB", "no setting of ours")
    monkeypatch.setenv("NIGHTCREW_SECRET_KEY", KEY)
    settings = load_settings()
    assert settings.secret_key.get_secret_value() == KEY
    assert KEY not in repr(settings)
    monkeypatch.setenv("NIGHTCREW_SECRET_KEY", "hush")
    with pytest.raises(InvalidArgument, match="secret_key: must be 32 bytes") as caught:
        load_settings()
    assert "hush" not in str(caught.value)
