"""The version of the time zone data: of the folder that zoneinfo reads from, whatever way it is told there."""

import os
import zoneinfo

import pytest

from nightcrew.system.zones import tzdata_version


@pytest.fixture
def folders(tmp_path):
    kept = zoneinfo.TZPATH
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    zoneinfo.reset_tzpath([str(first), str(second)])
    yield first, second
    zoneinfo.reset_tzpath(kept)


def test_the_first_folder_with_zones_tells(folders):
    first, second = folders
    (first / "tzdata.zi").write_text("# version 1999a\n")
    (second / "UTC").touch()
    (second / "tzdata.zi").write_text("# version 2026f\n# more\n")
    assert tzdata_version() == "2026f"
    (second / "tzdata.zi").unlink()
    (second / "+VERSION").write_text("2026g\n")
    assert tzdata_version() == "2026g"


def test_a_folder_that_does_not_tell_is_known_by_its_time(folders):
    first, _ = folders
    (first / "UTC").touch()
    os.utime(first / "UTC", (77, 77))
    assert tzdata_version() == "system 77"


def test_without_any_it_is_the_packages(folders):
    assert all(folder.exists() for folder in folders)
    assert tzdata_version().startswith("package 20")
