"""discover: files, packages and folders; one bad file is named with its line and hides nothing."""

import sys
from pathlib import Path

import pytest

from nightcrew.programs.discovery import discover, locate
from nightcrew.programs.errors import LoadError
from nightcrew.programs.python import forget_python, load_python

HEAD = "from nightcrew.agent import agent, every\n\n"


@pytest.fixture(autouse=True)
def _clean_imports():
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    forget_python()


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def names(found) -> list[str]:
    return [one.source.name for one in found.found]


def test_a_file(tmp_path):
    file = write(
        tmp_path,
        "disc_one.py",
        HEAD + "@agent\nasync def a_b():\n    return 1\n\n@agent(start=False)\ndef c():\n    return 2\n",
    )
    got = discover(file)
    assert got.faults == ()
    assert names(got) == ["disc_one:a_b", "disc_one:c"]
    first, second = got.found
    assert first.definition.manifest.id == "a-b"
    assert first.definition.manifest.spec.program.name == "disc_one:a_b"
    assert first.source.is_async is True
    assert second.source.is_async is False
    assert second.definition.start is False
    assert first.source.root == str(tmp_path)
    assert load_python(first.source).is_async is True


def test_a_folder_survives_its_bad_files(tmp_path):
    write(tmp_path, "disc_bad.py", "x = 1\ndef f(:\n")
    write(tmp_path, "disc_raises.py", "import os\n\n1 / 0\n")
    write(tmp_path, "disc_exits.py", "import sys\nsys.exit(3)\n")
    write(tmp_path, "disc_wrong.py", HEAD + "@agent(timeout=-1)\ndef f():\n    return 1\n")
    write(tmp_path, "disc_good.py", HEAD + "@agent\ndef good():\n    return 1\n")
    write(tmp_path, "not-a-name.py", "")
    write(tmp_path, "notes.txt", "nothing")
    got = discover(tmp_path)
    assert names(got) == ["disc_good:good"]
    by_file = {Path(one.path).name: one for one in got.faults}
    assert set(by_file) == {
        "disc_bad.py",
        "disc_raises.py",
        "disc_exits.py",
        "disc_wrong.py",
        "not-a-name.py",
    }
    assert by_file["disc_bad.py"].line == 2
    assert "SyntaxError" in by_file["disc_bad.py"].message
    assert by_file["disc_raises.py"].line == 3
    assert "ZeroDivisionError" in by_file["disc_raises.py"].message
    assert by_file["disc_exits.py"].line == 2
    assert by_file["disc_wrong.py"].line == 3
    assert "timeout" in by_file["disc_wrong.py"].message
    assert str(by_file["disc_bad.py"]).startswith(f"{tmp_path / 'disc_bad.py'}:2: ")


def test_a_package_and_its_siblings(tmp_path):
    write(tmp_path, "disc_pkg/__init__.py", "from disc_pkg.jobs import digest\n")
    write(tmp_path, "disc_pkg/texts.py", "HELLO = 'hello'\n")
    write(
        tmp_path,
        "disc_pkg/jobs.py",
        "from disc_pkg.texts import HELLO\n" + HEAD + "@agent\ndef digest():\n    return HELLO\n",
    )
    write(tmp_path, "disc_pkg/__main__.py", "raise SystemExit\n")
    got = discover(tmp_path / "disc_pkg")
    assert got.faults == ()
    assert names(got) == ["disc_pkg.jobs:digest"], "an import into __init__ is no second agent"
    assert got.found[0].source.root == str(tmp_path)


def test_a_syntax_error_in_an_imported_sibling_names_the_sibling(tmp_path):
    write(tmp_path, "disc_helper.py", "\n\nnot = 3\n")
    file = write(tmp_path, "disc_user.py", "import disc_helper\n")
    (fault,) = discover(file).faults
    assert fault.path == str(tmp_path / "disc_helper.py")
    assert fault.line == 3


def test_a_name_that_is_taken_is_refused(tmp_path):
    file = write(tmp_path, "json.py", HEAD + "@agent\ndef f():\n    return 1\n")
    (fault,) = discover(file).faults
    assert "belongs to" in fault.message
    assert "rename" in fault.message


def test_an_alias_is_one_agent_and_an_object_is_found_by_its_name(tmp_path):
    file = write(
        tmp_path,
        "disc_objects.py",
        HEAD
        + "@agent\ndef f():\n    return 1\n\ng = f\n\n"
        + "class G:\n    async def ainvoke(self, state):\n        return state\n\n"
        + "graph = agent(id='graph')(G())\n",
    )
    got = discover(file)
    assert names(got) == ["disc_objects:f", "disc_objects:graph"]
    assert got.found[1].source.is_async is True
    assert got.found[1].definition.manifest.spec.program.name == "disc_objects:graph"


def test_a_path_that_is_not_there_is_a_fault(tmp_path):
    (fault,) = discover(tmp_path / "nope.py").faults
    assert "does not exist" in fault.message


def test_locate_finds_what_a_manifest_names(tmp_path):
    write(tmp_path, "disc_plain.py", "def f(input):\n    return input\n\nclass C:\n    pass\n")
    source = locate("disc_plain:f", [tmp_path / "none", tmp_path])
    assert source.name == "disc_plain:f"
    assert source.is_async is False
    with pytest.raises(LoadError, match="no object 'nope'"):
        locate("disc_plain:nope", [tmp_path])
    with pytest.raises(LoadError, match="no module 'disc_missing'"):
        locate("disc_missing:f", [tmp_path])
    with pytest.raises(LoadError, match="can't be an entrypoint"):
        locate("disc_plain:C", [tmp_path])


def test_a_mended_file_loads(tmp_path):
    file = write(tmp_path, "disc_mend.py", "def f(:\n")
    assert discover(file).faults
    file.write_text(HEAD + "@agent\ndef f():\n    return 'mended'\n")
    assert names(discover(file)) == ["disc_mend:f"]
