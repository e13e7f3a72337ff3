"""A folder that decodes anywhere: the graph of one step, the tokenizer's files, `decode.json` and a page.

`decode.json` says what a program must know to run the graph: its file, the names of inputs and outputs in
their order, the shape of each state without the batch, the id that starts a text, which the tokenizer puts
in front by default (`add_special_tokens`), and those that end one. Before the first token a state is zeros
of its shape, in which an axis that grows is 0. Version 2 says of each state its type too, `state_types`; in
version 1, which models without attention have, all are float32.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper
from tokenizers import Tokenizer

from bhasa import bundle, journal
from bhasa.bundle.folder import TOKENIZER_FILES, copy_files
from bhasa.export.decode_graph import build_decode_graph, input_names, output_names, states
from bhasa.export.folder_card import card, metadata
from bhasa.export.graph import Graph
from bhasa.export.targets import Runtime, Source
from bhasa.inference.text import special_ids
from bhasa.model.config import ModelConfig
from bhasa.tokens.chat import encode_content
from bhasa.tokens.special import END_OF_TEXT

INDEX = "decode.json"
PROTOBUF_LIMIT = (1 << 31) - (1 << 24)  # bytes a .onnx file can hold, less a margin for all but weights


def write_folder(folder: Path, graph: Graph, source: Source, *, name: str) -> None:
    """Write the step that `graph` holds the weights of as `folder/name`, with what belongs to it."""
    folder.mkdir()
    index = _index(graph.config, name, bundle.load_tokenizer(source.folder))
    facts = metadata(source, index)
    proto = build_decode_graph(graph)
    helper.set_model_props(proto, facts)
    if sum(len(tensor.raw_data) for tensor in proto.graph.initializer) < PROTOBUF_LIMIT:
        onnx.save(proto, folder / name)
    else:
        onnx.save(proto, folder / name, save_as_external_data=True, location=f"{name}.data")
    onnx.checker.check_model(folder / name)
    copy_files(source.folder, folder, TOKENIZER_FILES)
    journal.write_json(folder / INDEX, index)
    journal.write_text(folder / "README.md", card(facts, index))


def _index(config: ModelConfig, model: str, tokenizer: Tokenizer) -> dict[str, Any]:
    begins = states(config).values()
    types = [state.dtype for state in begins]
    typed = {} if set(types) <= {"float32"} else {"state_types": types}
    return {
        "version": 2 if typed else 1,
        "model": model,
        "tokenizer": bundle.TOKENIZER,
        "inputs": input_names(config),
        "outputs": output_names(config),
        "state_shapes": [state.initial_shape for state in begins],
        **typed,
        "start_id": END_OF_TEXT,
        "stop_ids": sorted(special_ids(tokenizer)),
    }


def open_folder(folder: Path) -> Runtime:
    """Open with onnxruntime, on the CPU."""
    index = journal.read_json(folder / INDEX)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        folder / index["model"], options, providers=["CPUExecutionProvider"]
    )
    tokenizer = bundle.load_tokenizer(folder)
    shapes = index["state_shapes"]
    types = index.get("state_types", ["float32"] * len(shapes))

    def steps(ids: list[int]) -> Iterator[NDArray[np.float32]]:
        state = [np.zeros((1, *shape), dtype) for shape, dtype in zip(shapes, types, strict=True)]
        for token in ids:
            feed = dict(zip(index["inputs"], [np.array([token]), *state], strict=True))
            logits, *state = session.run(index["outputs"], feed)
            yield logits[0]

    return Runtime(
        f"onnxruntime {onnxruntime.__version__}",
        encode=lambda text: encode_content(tokenizer, text),
        logits=lambda ids: np.stack(list(steps(ids))),
    )
