"""What holds for every target; a new one joins by its line in `TARGETS`."""

from pathlib import Path

import numpy as np
import pytest

from bhasa import bundle, journal
from bhasa.export.comparison import compare, missed_gates, read_prompt, source_logits
from bhasa.export.config import ExportConfig
from bhasa.export.targets import TARGETS, load_target
from bhasa.model.language_model import LanguageModel


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_read_back_passes_the_default_gates(
    target: str, model_and_folder: tuple[LanguageModel, Path], documents: Path, tmp_path: Path
) -> None:
    model, source = model_and_folder
    prompt = read_prompt(documents, bundle.load_tokenizer(source), 40)
    made = load_target(target)
    made.write(model, source, tmp_path / "out")
    runtime = made.read(tmp_path / "out")
    logits = runtime.logits(prompt.ids)
    comparison = compare(source_logits(model, prompt), logits, prompt.ids)
    assert logits.dtype == np.float32
    assert runtime.encode(prompt.text) == prompt.ids[1:]
    assert runtime.encode("<|end|>") != [3]  # a special token that is spelt out is text
    assert not missed_gates(comparison, ExportConfig(int8_max_perplexity_increase=2.0), exact=made.exact)


@pytest.mark.parametrize("target", TARGETS)
def test_a_damaged_weight_does_not_pass_the_gates(
    target: str, model_folders: dict[str, Path], documents: Path, tmp_path: Path
) -> None:
    source = model_folders["tied"]
    model = bundle.load(source)
    prompt = read_prompt(documents, bundle.load_tokenizer(source), 40)
    made = load_target(target)
    made.write(model, source, tmp_path / "out")
    model.backbone.layers[0].mixer.D.data *= 1.5
    logits = made.read(tmp_path / "out").logits(prompt.ids)
    comparison = compare(source_logits(model, prompt), logits, prompt.ids)
    assert missed_gates(comparison, ExportConfig(), exact=made.exact)


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_model_gives_the_same_bytes_and_no_path_in_them(
    target: str, model_folders: dict[str, Path], tmp_path: Path
) -> None:
    source = model_folders["tied"]
    model = bundle.load(source)
    for name in ("first", "second"):
        load_target(target).write(model, source, tmp_path / name)
    assert journal.sha256_folder(tmp_path / "first") == journal.sha256_folder(tmp_path / "second")
    here = [str(tmp_path).encode(), str(source).encode(), str(Path(bundle.__file__).parent).encode(), b".py"]
    for path in (tmp_path / "first").rglob("*"):
        assert not [place for place in here if place in path.read_bytes()], path.name
