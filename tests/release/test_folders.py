"""Files and folders are written whole or not at all."""

import json
import subprocess
import sys

import pytest

from sfumato.errors import EngineError, PlanError
from sfumato.release import folders


def finished(folder, text="x"):
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text(text)
    folders.write_manifest(folder, {"made": text})
    return folder


def test_a_text_is_replaced_whole(tmp_path):
    folders.write_text(tmp_path / "new" / "a.txt", "one\n")
    folders.write_text(tmp_path / "new" / "a.txt", "two\n")
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"two\n"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]


def test_a_disk_that_refuses_leaves_the_old_text_and_no_part(tmp_path, monkeypatch):
    folders.write_text(tmp_path / "a.txt", "old\n")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.os, "fsync", full)
    with pytest.raises(EngineError, match=r"a\.txt: the disk is full"):
        folders.write_text(tmp_path / "a.txt", "new\n")
    assert (tmp_path / "a.txt").read_text() == "old\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_complete_only_as_it_was_written(tmp_path):
    folder = finished(tmp_path / "a")
    assert folders.is_complete(folder)
    assert folders.manifest(folder)["made"] == "x"
    (folder / "data.csv").write_text("y")
    assert not folders.is_complete(folder)
    (folder / "data.csv").unlink()
    assert not folders.is_complete(folder)
    assert not folders.is_complete(tmp_path / "absent")
    (folder / folders.MANIFEST_FILE).write_text("{")
    assert folders.manifest(folder) is None


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_finished_folder_makes_way_for_the_new_one(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    place = finished(tmp_path / "place", "old")
    folders.put_in_place(finished(tmp_path / ".part", "new"), place)
    assert (place / "data.csv").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_what_was_moved_aside_is_put_back_after_a_crash(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "_exchange", lambda one, other: False)
    place, new = finished(tmp_path / "place", "old"), finished(tmp_path / ".part", "new")
    rename = folders.Path.rename

    def crash(self, target):
        if self == new:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(folders.Path, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        folders.put_in_place(new, place)
    monkeypatch.setattr(folders.Path, "rename", rename)
    assert not place.exists()
    folders.recover(place)
    assert (place / "data.csv").read_text() == "old"
    folders.recover(place)
    assert folders.is_complete(place)


def test_what_others_wrote_is_never_moved(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "thesis.txt").write_text("mine")
    with pytest.raises(PlanError, match="was not written by sfumato"):
        folders.put_in_place(finished(tmp_path / ".part"), place)
    assert (place / "thesis.txt").read_text() == "mine"
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(PlanError, match="was not written by sfumato"):
        folders.refuse_foreign(file)


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "place").mkdir()
    folders.put_in_place(finished(tmp_path / ".part"), tmp_path / "place")
    assert folders.is_complete(tmp_path / "place")


def test_two_runs_cannot_hold_one_folder(tmp_path):
    code = (
        "import sys; from sfumato.release.folders import exclusive\n"
        "from sfumato.errors import PlanError\n"
        "try:\n"
        "    with exclusive(__import__('pathlib').Path(sys.argv[1])): print('held')\n"
        "except PlanError as error: print(error)\n"
    )

    def other():
        command = [sys.executable, "-c", code, str(tmp_path / "out")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    with folders.exclusive(tmp_path / "out"):
        assert "another run is writing into" in other()
    assert other() == "held\n"


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(EngineError, match="a part of the path is a file"),
        folders.exclusive(tmp_path / "file" / "out"),
    ):
        pass


def test_the_manifest_lists_files_in_folders_too(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_text("x")
    folders.write_manifest(tmp_path / "a", {})
    content = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert list(content["files"]) == ["b/c.txt"]
