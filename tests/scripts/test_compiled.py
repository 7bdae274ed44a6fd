"""The compiled modules are used when they were made from the sources that are here, else never."""

import os
from pathlib import Path

import pytest

from scripts import compiled
from scripts.lab.installation import Installation


def test_every_module_to_be_compiled_exists() -> None:
    assert [name for name in compiled.COMPILED if not (compiled.ROOT / name).is_file()] == []


def test_without_a_build_nothing_changes(tmp_path: Path) -> None:
    assert compiled.environment(tmp_path / "nothing") == {}


def test_an_old_build_is_not_used(tmp_path: Path) -> None:
    (tmp_path / compiled.STAMP).write_text("made from other sources")
    assert compiled.environment(tmp_path) == {}


def test_a_build_of_these_sources_comes_before_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    (tmp_path / compiled.STAMP).write_text(compiled.fingerprint())
    assert compiled.environment(tmp_path) == {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}/elsewhere",
        "PYTHONSAFEPATH": "1",
    }


def test_the_lab_starts_its_node_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Installation(tmp_path, 1, 2, 3)
    monkeypatch.setattr(compiled, "environment", dict)
    assert lab.node_command[1:4] == ["-m", "node", "serve"]
    monkeypatch.setattr(compiled, "environment", lambda: {"PYTHONSAFEPATH": "1"})
    assert lab.node_command[:2] == ["env", "PYTHONSAFEPATH=1"]
