"""A folder that decodes anywhere: the graph of one step, the tokenizer, and `decode.json`.

`decode.json` says what a program must know to run the graph: its file, the names of inputs and outputs in
their order, the shape of each state without the batch, the id that starts a text and those that end one.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from bhasa import bundle, journal
from bhasa.export.decode_graph import Graph, build_decode_graph, input_names, output_names, state_shapes
from bhasa.export.targets import Runtime
from bhasa.inference.text import special_ids
from bhasa.tokens.chat import encode_content
from bhasa.tokens.special import END_OF_TEXT

INDEX = "decode.json"
PROTOBUF_LIMIT = (1 << 31) - (1 << 24)  # bytes a .onnx file can hold, less a margin for all but weights


def write_folder(folder: Path, graph: Graph, *, tokenizer: Path, name: str) -> None:
    """Write the step that `graph` holds the weights of as `folder/name`, with what belongs to it."""
    folder.mkdir()
    proto = build_decode_graph(graph)
    if sum(len(tensor.raw_data) for tensor in proto.graph.initializer) < PROTOBUF_LIMIT:
        onnx.save(proto, folder / name)
    else:
        onnx.save(proto, folder / name, save_as_external_data=True, location=f"{name}.data")
    onnx.checker.check_model(folder / name)
    shutil.copyfile(tokenizer / bundle.TOKENIZER, folder / bundle.TOKENIZER)
    index = {
        "version": 1,
        "model": name,
        "tokenizer": bundle.TOKENIZER,
        "inputs": input_names(graph.config),
        "outputs": output_names(graph.config),
        "state_shapes": state_shapes(graph.config),
        "start_id": END_OF_TEXT,
        "stop_ids": sorted(special_ids(bundle.load_tokenizer(tokenizer))),
    }
    journal.write_json(folder / INDEX, index)


def open_folder(folder: Path) -> Runtime:
    """Open with onnxruntime, on the CPU."""
    index = journal.read_json(folder / INDEX)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        folder / index["model"], options, providers=["CPUExecutionProvider"]
    )
    tokenizer = bundle.load_tokenizer(folder)

    def steps(ids: list[int]) -> Iterator[NDArray[np.float32]]:
        states = [np.zeros((1, *shape), np.float32) for shape in index["state_shapes"]]
        for token in ids:
            feed = dict(zip(index["inputs"], [np.array([token]), *states], strict=True))
            logits, *states = session.run(index["outputs"], feed)
            yield logits[0]

    return Runtime(
        f"onnxruntime {onnxruntime.__version__}",
        encode=lambda text: encode_content(tokenizer, text),
        logits=lambda ids: np.stack(list(steps(ids))),
    )
