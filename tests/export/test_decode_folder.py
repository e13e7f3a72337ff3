import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import transformers
from tokenizers import Tokenizer

import bhasa
from bhasa import bundle, journal
from bhasa.errors import UserError
from bhasa.export import decode_folder
from bhasa.export.graph import Graph
from bhasa.export.targets import Source
from bhasa.inference.text import document_ids
from bhasa.model.language_model import LanguageModel


def test_weights_too_large_for_one_file_go_beside_it(
    model_folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = model_folders["tied"]
    model = bundle.load(source)
    decode_folder.write_folder(tmp_path / "inside", Graph(model), Source(model, source), name="decode.onnx")
    monkeypatch.setattr(decode_folder, "PROTOBUF_LIMIT", 1000)
    decode_folder.write_folder(tmp_path / "beside", Graph(model), Source(model, source), name="decode.onnx")
    assert (tmp_path / "beside" / "decode.onnx.data").is_file()
    assert not (tmp_path / "inside" / "decode.onnx.data").exists()
    ids = [0, 5, 9]
    logits = [decode_folder.open_folder(tmp_path / name).logits(ids) for name in ("inside", "beside")]
    np.testing.assert_array_equal(*logits)


def test_the_index_says_what_a_program_needs(
    model_and_folder: tuple[LanguageModel, Path], tmp_path: Path
) -> None:
    model, source = model_and_folder
    decode_folder.write_folder(tmp_path / "out", Graph(model), Source(model, source), name="decode.onnx")
    index = json.loads((tmp_path / "out" / "decode.json").read_text())
    graph = onnx.load(tmp_path / "out" / index["model"]).graph
    assert [value.name for value in graph.input] == index["inputs"]
    assert [value.name for value in graph.output] == index["outputs"]
    begins = [part[0].numpy() for layer in model.initial_state(1) for part in layer]
    assert [list(part.shape) for part in begins] == index["state_shapes"]
    types = [str(part.dtype) for part in begins]
    assert (index["version"], index.get("state_types", ["float32"] * len(types))) == (
        2 if "attention" in model.config.layers else 1,
        types,
    )
    assert (index["start_id"], index["stop_ids"]) == (0, [0, 1, 2, 3, 4])
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / index["tokenizer"]))
    assert tokenizer.encode("The river").ids == document_ids(tokenizer, "The river")
    assert tokenizer.encode("The river").ids[0] == index["start_id"]


def test_the_file_says_what_it_is_and_what_it_was_made_of(
    model_and_folder: tuple[LanguageModel, Path], tmp_path: Path
) -> None:
    model, source = model_and_folder
    decode_folder.write_folder(
        tmp_path / "out", Graph(model), Source(model, source, "CC-BY-4.0"), name="decode.onnx"
    )
    index = json.loads((tmp_path / "out" / "decode.json").read_text())
    proto = onnx.load(tmp_path / "out" / "decode.onnx")
    facts = {prop.key: prop.value for prop in proto.metadata_props}
    assert facts["made_by"] == f"bhasa {bhasa.__version__}"
    assert facts["model_sha256"] == journal.sha256_file(source / bundle.WEIGHTS)
    assert facts["tokenizer_sha256"] == journal.sha256_file(tmp_path / "out" / facts["tokenizer"])
    assert facts["license"] == "CC-BY-4.0"
    assert json.loads(facts["state_shapes"]) == dict(
        zip(index["inputs"][1:], index["state_shapes"], strict=True)
    )
    assert json.loads(facts["stop_ids"]) == index["stop_ids"]


def test_the_folder_brings_the_chat_template_and_a_page(
    model_and_folder: tuple[LanguageModel, Path], tmp_path: Path
) -> None:
    model, source = model_and_folder
    decode_folder.write_folder(tmp_path / "out", Graph(model), Source(model, source), name="decode.onnx")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    chat = [{"role": "user", "content": "so?"}]
    assert "<|user|>" in tokenizer.apply_chat_template(chat, tokenize=False)
    page = (tmp_path / "out" / "README.md").read_text()
    assert journal.sha256_file(source / bundle.WEIGHTS) in page
    assert "license:" not in page.split("---")[1]  # none was stated, so none is claimed


def test_a_folder_without_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"decode\.json: no such file"):
        decode_folder.open_folder(tmp_path)
