"""The registered model: MLflow loads this file as it is, so it needs nothing of bhasa.

It opens a decode folder (`decode.json`, the graph of one step, the tokenizer) and continues texts, one step
per token: in constant memory, but for the caches of attention. Sampling is that of
`bhasa.inference.sampling` in NumPy: the same parameters give the same text as `bhasa generate`, up to the
rounding of the logits.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import pandas as pd  # type: ignore[import-untyped]
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream


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

    def write(self, row: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[str]:
        """The text that follows a row's `prompt`, or answers its `messages`, piece by piece."""
        _check(params)
        decoder = DecodeStream(skip_special_tokens=True)
        for token in self._continue(self._ids(row), params):
            piece = decoder.step(self.tokenizer, token)  # None within a character
            if piece:
                yield piece

    def _ids(self, row: Mapping[str, Any]) -> list[int]:
        prompt: Any = row.get("prompt")
        messages: Any = row.get("messages")
        if isinstance(prompt, str) == isinstance(messages, Sequence | np.ndarray):
            raise ValueError("a row has either a prompt, which is text, or messages, which are a list")
        if isinstance(prompt, str):
            return [self.start_id, *self._text(prompt)]
        ids = [self.start_id]
        for message in messages:
            ids += [self._special(message["role"]), *self._text(message["content"]), self._special("end")]
        return [*ids, self._special("assistant")]

    def _text(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _special(self, name: str) -> int:
        token = self.tokenizer.token_to_id(f"<|{name}|>")
        if token is None or token not in self.stop_ids or token == self.start_id:
            raise ValueError(f"messages: no role '{name}'; allowed: system, user, assistant")
        return token

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
    """Prompts in the column `prompt` to their continuations, conversations in `messages` to an answer.

    Parameters are those of `bhasa generate`.
    """

    def load_context(self, context: PythonModelContext) -> None:
        self.decoder = Decoder(Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> list[str]:
        """`params` has a default for each parameter in the model's signature."""
        rows = model_input.to_dict("records")
        return ["".join(self.decoder.write(row, params or {})) for row in rows]

    def predict_stream(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame | dict[str, Any],
        params: dict[str, Any] | None = None,
    ) -> Iterator[str]:
        """The text for one row, piece by piece; MLflow makes a mapping of it where it is given as a list."""
        rows = model_input.to_dict("records") if isinstance(model_input, pd.DataFrame) else [model_input]
        if len(rows) != 1:
            raise ValueError(f"expected one row to stream, found {len(rows)}")
        return self.decoder.write(rows[0], params or {})


mlflow.models.set_model(TextGenerator())
