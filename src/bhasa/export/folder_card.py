"""What an ONNX file and its folder say of themselves: metadata for programs, and a page for people."""

import json
from collections.abc import Mapping
from typing import Any

import bhasa
from bhasa import bundle, journal
from bhasa.cards.layers import describe_layers
from bhasa.export.targets import Source

NO_LICENSE = "not stated: it follows from the documents that the model was trained on"


def metadata(source: Source, index: Mapping[str, Any]) -> dict[str, str]:
    """The `metadata_props` of the file that `index`, the content of `decode.json`, speaks of."""
    shapes = dict(zip(index["inputs"][1:], index["state_shapes"], strict=True))
    return {
        "made_by": f"bhasa {bhasa.__version__}",
        "layers": describe_layers(source.model.config),
        "parameters": str(source.model.num_parameters()),
        "model_sha256": bundle.weights_sha256(source.folder),
        "state_shapes": json.dumps(shapes),
        "tokenizer": index["tokenizer"],
        "tokenizer_sha256": journal.sha256_file(source.folder / bundle.TOKENIZER),
        "start_id": str(index["start_id"]),
        "stop_ids": json.dumps(index["stop_ids"]),
        "license": source.license or NO_LICENSE,
    }


def card(facts: Mapping[str, str], index: Mapping[str, Any]) -> str:
    """The folder's README, as Markdown."""
    stated = f"license: {facts['license']}\n" if facts["license"] != NO_LICENSE else ""
    states = "\n".join(
        f"| `{name}` | `{after}` | {shape} |"
        for name, after, shape in zip(
            index["inputs"][1:], index["outputs"][1:], index["state_shapes"], strict=True
        )
    )
    return (
        f"---\nlibrary_name: onnx\npipeline_tag: text-generation\n{stated}---\n# One decoding step\n\n"
        f"`{index['model']}` is one step of a language model of {int(facts['parameters']):,} parameters "
        f"({facts['layers']}), made by {facts['made_by']} from weights of SHA-256 `{facts['model_sha256']}`. "
        f"License: {facts['license']}.\n\n"
        f"`{index['inputs'][0]}` (batch) and the states go in, `{index['outputs'][0]}` (batch, vocabulary) "
        "and the next states come out. Before the first token the states are zeros. A text begins with id "
        f"{index['start_id']}; one of {index['stop_ids']} ends it. `decode.json` tells programs the same.\n\n"
        "| state in | state out | shape after the batch, before the first token |\n| --- | --- | --- |\n"
        f"{states}\n"
    )
