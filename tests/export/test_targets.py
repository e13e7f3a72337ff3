"""What holds for every target; a new one joins by its line in `TARGETS`."""

from pathlib import Path

import numpy as np
import pytest

from bhasa import bundle, journal
from bhasa.export.comparison import compare, missed_gates, read_prompts
from bhasa.export.targets import TARGETS, Source, load_target
from bhasa.model.language_model import LanguageModel


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_read_back_passes_the_default_gates(
    target: str, model_and_folder: tuple[LanguageModel, Path], documents: Path, tmp_path: Path
) -> None:
    model, source = model_and_folder
    prompts = read_prompts(documents, bundle.load_tokenizer(source), documents=2, tokens=40)
    made = load_target(target)
    made.write(Source(model, source), tmp_path / "out")
    runtime = made.read(tmp_path / "out")
    comparison = compare(model, runtime, prompts)
    assert runtime.logits([0, 5]).dtype == np.float32
    assert all(runtime.encode(prompt.text) == prompt.ids[1:] for prompt in prompts)
    assert runtime.encode("<|end|>") != [3]  # a special token that is spelt out is text
    assert not missed_gates(comparison, TARGETS[target].gates.model_dump(exclude_none=True))


@pytest.mark.parametrize("target", TARGETS)
def test_a_damaged_weight_does_not_pass_the_gates(
    target: str, model_folders: dict[str, Path], documents: Path, tmp_path: Path
) -> None:
    source = model_folders["tied"]
    model = bundle.load(source)
    prompts = read_prompts(documents, bundle.load_tokenizer(source), documents=2, tokens=40)
    made = load_target(target)
    made.write(Source(model, source), tmp_path / "out")
    model.backbone.layers[0].mixer.D.data *= 1.1
    comparison = compare(model, made.read(tmp_path / "out"), prompts)
    assert missed_gates(comparison, TARGETS[target].gates.model_dump(exclude_none=True))


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_model_gives_the_same_bytes_and_no_path_in_them(
    target: str, model_folders: dict[str, Path], tmp_path: Path
) -> None:
    source = model_folders["tied"]
    model = bundle.load(source)
    for name in ("first", "second"):
        load_target(target).write(Source(model, source), tmp_path / name)
    assert journal.sha256_folder(tmp_path / "first") == journal.sha256_folder(tmp_path / "second")
    here = [str(tmp_path).encode(), str(source).encode(), str(Path(bundle.__file__).parent).encode(), b".py"]
    for path in (tmp_path / "first").rglob("*"):
        assert not [place for place in here if place in path.read_bytes()], path.name
