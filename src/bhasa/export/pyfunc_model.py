"""The registered model: MLflow loads this file as it is, so it needs nothing of bhasa.

It opens a decode folder (`decode.json`, the graph of one step, the tokenizer) and continues texts, one step
per token: in constant memory, but for the caches of attention. Sampling is that of
`bhasa.inference.sampling` in NumPy: the same parameters give the same text as `bhasa generate`, up to the
rounding of the logits.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import pandas as pd  # type: ignore[import-untyped]
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray
from tokenizers import Tokenizer


class Decoder:
    """A decode folder, opened."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "decode.json").read_text(encoding="utf-8"))
        self.inputs, self.outputs = index["inputs"], index["outputs"]
        self.state_shapes = index["state_shapes"]
        self.state_types = index.get("state_types", ["float32"] * len(self.state_shapes))
        self.start_id, self.stop_ids = index["start_id"], index["stop_ids"]
        self.tokenizer = Tokenizer.from_file(str(folder / index["tokenizer"]))
        self.tokenizer.encode_special_tokens = True  # a special token spelt out in a prompt is text
        self.session = onnxruntime.InferenceSession(
            str(folder / index["model"]), providers=["CPUExecutionProvider"]
        )

    def complete(self, prompt: str, params: Mapping[str, Any]) -> str:
        """The text that follows `prompt`."""
        _check(params)
        ids = [self.start_id, *self.tokenizer.encode(prompt, add_special_tokens=False).ids]
        written: str = self.tokenizer.decode(list(self._continue(ids, params)), skip_special_tokens=True)
        return written

    def _continue(self, ids: list[int], params: Mapping[str, Any]) -> Iterator[int]:
        begins = zip(self.state_shapes, self.state_types, strict=True)
        states = [np.zeros((1, *shape), dtype) for shape, dtype in begins]
        for token in ids:
            logits, states = self._step(token, states)
        for draw in range(params["max_new_tokens"]):
            token = sample(logits, params, draw)
            if token in self.stop_ids:
                return
            yield token
            logits, states = self._step(token, states)

    def _step(self, token: int, states: list[NDArray[Any]]) -> tuple[NDArray[np.float32], list[NDArray[Any]]]:
        feed = dict(zip(self.inputs, [np.array([token]), *states], strict=True))
        logits, *states = self.session.run(self.outputs, feed)
        return logits[0], states


def sample(logits: NDArray[np.float32], params: Mapping[str, Any], draw: int) -> int:
    """One token from logits (V,); random number `draw` is a function of the seed and `draw` alone."""
    if not np.isfinite(logits.max()):  # NaN if there is one
        raise ValueError(
            "the model's logits are not finite: its weights are damaged, or its training diverged"
        )
    if params["temperature"] == 0:
        return int(logits.argmax())
    ids = np.argsort(-logits, kind="stable")[: params["top_k"] or None]
    ranked = logits[ids].astype(np.float64)
    weights = np.exp((ranked - ranked[0]) / params["temperature"])
    cumulative = (weights / weights.sum()).cumsum()
    kept = min(int(np.searchsorted(cumulative, params["top_p"])) + 1, len(cumulative))
    uniform = np.random.Generator(np.random.Philox(key=params["seed"], counter=draw)).random()
    point = uniform * cumulative[kept - 1]
    return int(ids[min(int(np.searchsorted(cumulative[:kept], point, side="right")), kept - 1)])


def _check(params: Mapping[str, Any]) -> None:
    allowed = {
        "max_new_tokens": ("at least 1", params["max_new_tokens"] >= 1),
        "temperature": ("0 or more", params["temperature"] >= 0),
        "top_k": ("0 or more", params["top_k"] >= 0),
        "top_p": ("above 0 and at most 1", 0 < params["top_p"] <= 1),
        "seed": ("0 or more", params["seed"] >= 0),
    }
    for name, (range_, holds) in allowed.items():
        if not holds:
            raise ValueError(f"params: {name}: found {params[name]}; allowed: {range_}")


class TextGenerator(PythonModel):
    """Prompts in the column `prompt` to their continuations; parameters as in `bhasa generate`."""

    def load_context(self, context: PythonModelContext) -> None:
        self.decoder = Decoder(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[str]:
        """`params` has a default for each parameter in the model's signature."""
        return [self.decoder.complete(prompt, params or {}) for prompt in model_input["prompt"]]


mlflow.models.set_model(TextGenerator())
