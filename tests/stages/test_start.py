from pathlib import Path

import pytest

from bhasa.errors import UserError
from bhasa.params import read_mapping
from bhasa.stages import read_seed, tracked


def test_the_seed_is_read(workspace: Path) -> None:
    path = workspace / "params.yaml"
    assert read_seed(path) == read_mapping(path)["seed"]


def test_misspelt_params_are_refused_before_anything_is_tracked(workspace: Path) -> None:
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("finetune:", "finetun:"))
    with pytest.raises(UserError, match="did you mean 'finetune'"), tracked("ingest", path):
        pass
    assert not (workspace / "mlflow.db").exists()
