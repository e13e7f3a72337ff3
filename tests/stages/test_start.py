import shutil
from pathlib import Path

import pytest

import bhasa
from bhasa.errors import UserError
from bhasa.params import read_mapping
from bhasa.stages import read_seed, say_if_sources_differ, tracked


def test_the_seed_is_read(workspace: Path) -> None:
    path = workspace / "params.yaml"
    assert read_seed(path) == read_mapping(path)["seed"]


def test_misspelt_params_are_refused_before_anything_is_tracked(workspace: Path) -> None:
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("finetune:", "finetun:"))
    with pytest.raises(UserError, match="did you mean 'finetune'"), tracked("ingest", path):
        pass
    assert not (workspace / "mlflow.db").exists()


def test_other_sources_in_the_tree_are_spoken_of_once(tmp_path, capsys):
    installed = Path(bhasa.__file__).parent
    copy = tmp_path / "bhasa"
    shutil.copytree(installed, copy, ignore=shutil.ignore_patterns("__pycache__"))
    say_if_sources_differ(copy)
    assert capsys.readouterr().err == ""
    (copy / "errors.py").write_text("# changed\n")
    say_if_sources_differ(copy)
    said = capsys.readouterr().err
    assert str(installed) in said
    assert str(copy) in said
