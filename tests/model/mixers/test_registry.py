"""What the records of `MIXERS` say is true: of classes, letters and the modules that they name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bhasa.bundle.mixers import published_mixers
from bhasa.export.graph import builder
from bhasa.inference.native.mixer import NativeMixer
from bhasa.inference.native.support import native_mixer
from bhasa.model.config import ModelConfig
from bhasa.model.mixers import MIXERS, STATE_SPACE
from bhasa.model.mixers.protocol import Mixer
from bhasa.model.pattern import titles_by_letter

SRC = Path(__file__).parents[3] / "src" / "bhasa"


@pytest.mark.parametrize("name", MIXERS)
def test_a_record_names_what_there_is(name: str) -> None:
    kind = MIXERS[name]
    assert issubclass(kind.load(), Mixer)
    native = native_mixer(name)
    assert native is not None
    assert issubclass(native, NativeMixer)
    assert callable(builder(name).step)
    assert (name in published_mixers()) == (kind.published is not None)


def test_letters_are_single_and_shared_by_state_space_mixers_alone() -> None:
    letters = [kind.letter for kind in MIXERS.values()]
    assert all(len(letter) == 1 and not letter.isdigit() for letter in letters)
    own = [letter for letter in letters if letter != STATE_SPACE]
    assert len(own) == len(set(own))


def test_the_pattern_is_documented_with_every_letter() -> None:
    description = ModelConfig.model_fields["pattern"].description
    assert description is not None
    page = (SRC.parents[1] / "pipeline" / "README.md").read_text(encoding="utf-8")
    for letter in titles_by_letter():
        assert f"{letter} " in description
        assert f"| `{letter}` |" in page


def test_mixers_are_named_in_their_records_and_nowhere_else() -> None:
    """But for the fields of `ModelConfig` and its rules; `mlp` is also the name of a part of every block."""
    allowed = {"model/mixers/__init__.py", "model/config.py", "model/pattern.py"}
    found = {
        f"{path.relative_to(SRC)}: {node.value}"
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in MIXERS.keys() - {"mlp"}
        if str(path.relative_to(SRC)) not in allowed
    }
    assert found == set()


def test_reading_a_config_imports_no_mixer() -> None:
    code = (
        "import sys; from bhasa.model.config import ModelConfig; ModelConfig(d_model=8, n_layer=2);"
        "assert 'torch' not in sys.modules and 'bhasa.model.mixers.protocol' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
