import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bhasa import bundle, journal
from bhasa.errors import BhasaError, UserError
from bhasa.evaluation.report import Report
from bhasa.export.config import ExportConfig
from bhasa.export.targets import TARGETS, Gates
from bhasa.model.config import ModelConfig
from bhasa.model.language_model import build
from bhasa.stages.export import run
from bhasa.tokens import tokenizer_files
from bhasa.tokens.config import BpeConfig
from bhasa.tokens.kinds import bpe
from bhasa.tracking import NullTracker

TEXT = "The river carried what the mountain gave, and the sea kept the account of both. " * 20

CONFIG = ExportConfig(tokens=32)
ONNX_ONLY = CONFIG.model_copy(update={"targets": {"onnx": Gates()}})


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    pq.write_table(pa.table({"text": [TEXT], "bytes": [len(TEXT.encode())]}), folder / "test-00000.parquet")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    tokenizer_files.save(bpe.make(BpeConfig(vocab_size=300), [TEXT]), root / "tokenizer")
    config = ModelConfig(d_model=32, n_layer=2, vocab_size=300, d_state=8, initializer_range=0.3)
    bundle.save(root / "model", build(config, seed=0), tokenizer=root / "tokenizer", provenance={})
    return root / "model"


class Registry(NullTracker):
    """Remembers what it is asked to register."""

    def __init__(self) -> None:
        self.registered: list[tuple[str, Path, Path, dict[str, Any]]] = []

    def register_model(self, name: str, code: Path, folder: Path, **details: Any) -> None:
        self.registered.append((name, code, folder, details))


def export(
    config: ExportConfig, source: Path, documents: Path, root: Path, evaluation: Path | None = None
) -> Registry:
    tracker = Registry()
    run(
        config,
        documents=documents,
        finetuned=source,
        export=root / "export",
        report=root / "export.json",
        evaluation=evaluation,
        tracker=tracker,
    )
    return tracker


def test_every_target_is_written_compared_and_reported(
    source: Path, documents: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = export(CONFIG, source, documents, tmp_path)
    report = json.loads((tmp_path / "export.json").read_text())
    assert set(TARGETS) == {path.name for path in (tmp_path / "export").iterdir()}
    assert TARGETS.keys() == report["context"]["opened_with"].keys() == report["context"]["purpose"].keys()
    assert report["models"] == {"finetuned": journal.sha256_file(source / bundle.WEIGHTS)}
    assert report["onnx"]["same_argmax"] == 1
    assert 0 < report["onnx-int8"]["mean_kl"] <= report["onnx-int8"]["max_kl"] < 0.01
    assert 0 < report["onnx-int8"]["relative_weight_error"]["in_proj"] < 0.02
    assert str(tmp_path) not in (tmp_path / "export.json").read_text()
    shown = capfd.readouterr()
    assert shown.out == ""
    assert all(f"export: {target}: opened with" in shown.err for target in TARGETS)

    ((name, code, folder, details),) = tracker.registered
    assert (name, folder) == ("bhasa", tmp_path / "export" / "onnx")
    assert code.is_file()
    assert details["figures"]["model_sha256"] == report["models"]["finetuned"]
    assert "bits_per_byte" not in details["figures"]
    assert details["params"] == CONFIG.sampling.as_mapping()


def test_two_runs_give_the_same_bytes(source: Path, documents: Path, tmp_path: Path) -> None:
    hashes = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        export(CONFIG, source, documents, tmp_path / name)
        hashes.append(journal.sha256_folder(tmp_path / name))
    assert hashes[0] == hashes[1]


def test_a_missed_gate_names_it_and_leaves_the_earlier_export(
    source: Path, documents: Path, tmp_path: Path
) -> None:
    export(ONNX_ONLY, source, documents, tmp_path)
    before = journal.sha256_folder(tmp_path)
    strict = CONFIG.model_copy(update={"targets": {"onnx": Gates(), "onnx-int8": Gates(mean_kl=1e-12)}})
    message = r"export\.targets\.onnx-int8\.mean_kl is [\d.e-]+, at most 1e-12 is allowed"
    with pytest.raises(BhasaError, match=message) as caught:
        export(strict, source, documents, tmp_path)
    assert caught.value.exit_code == 1
    assert journal.sha256_folder(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "export.json"]


def test_only_what_is_asked_for_is_left(source: Path, documents: Path, tmp_path: Path) -> None:
    export(CONFIG, source, documents, tmp_path)
    huggingface = CONFIG.model_copy(update={"targets": {"huggingface": Gates()}})
    tracker = export(huggingface, source, documents, tmp_path)
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["huggingface"]
    assert not tracker.registered  # no target that writes text


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (bundle.WEIGHTS, b"\x00" * 40),
        (bundle.WEIGHTS, b"cut off"),
        (bundle.CONFIG, b"{"),
        (bundle.TOKENIZER, b"{}"),
    ],
)
def test_a_damaged_model_folder_is_the_users_to_mend(
    file: str, content: bytes, source: Path, documents: Path, tmp_path: Path
) -> None:
    shutil.copytree(source, tmp_path / "model")
    (tmp_path / "model" / file).write_bytes(content)
    with pytest.raises(UserError, match=file):
        export(ONNX_ONLY, tmp_path / "model", documents, tmp_path)
    assert not (tmp_path / "export").exists()


def test_missing_inputs_are_named(source: Path, documents: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere"):
        export(ONNX_ONLY, tmp_path / "nowhere", documents, tmp_path)
    with pytest.raises(UserError, match=r"test-00000\.parquet: no such file"):
        export(ONNX_ONLY, source, tmp_path / "nothing", tmp_path)


def test_the_registry_gets_what_was_measured_of_this_model_and_of_no_other(
    source: Path, documents: Path, tmp_path: Path
) -> None:
    evaluation = Report(
        models={"finetuned": bundle.weights_sha256(source)},
        metrics={"finetuned.bits_per_byte": 1.5, "finetuned.perplexity": 9.5},
        context={"texts_sha256": "abc"},
    )
    evaluation.save(tmp_path / "evaluate.json")
    tracker = export(ONNX_ONLY, source, documents, tmp_path, evaluation=tmp_path / "evaluate.json")
    figures = tracker.registered[0][3]["figures"]
    assert (figures["bits_per_byte"], figures["perplexity"]) == (1.5, 9.5)
    assert figures["test_texts_sha256"] == "abc"
    evaluation.models["finetuned"] = "another"
    evaluation.save(tmp_path / "evaluate.json")
    tracker = export(ONNX_ONLY, source, documents, tmp_path, evaluation=tmp_path / "evaluate.json")
    assert "bits_per_byte" not in tracker.registered[0][3]["figures"]
