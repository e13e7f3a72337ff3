"""The target `huggingface`: the model folder as it is, byte for byte, opened with transformers.

Its Mamba and Mamba-2 have layers of that one kind, and RMSNorm. Models of other patterns, with attention or
MLPs, with an MLP in each block or with LayerNorm keep the same frame and are opened with `bundle.load`; the
report then says so.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from bhasa import bundle
from bhasa.export.targets import Runtime, Source, Target
from bhasa.tokens.chat import encode_content


def write(source: Source, folder: Path) -> Mapping[str, float]:
    # Contents only: DVC keeps its files read-only, which a copy need not be.
    shutil.copytree(source.folder, folder, copy_function=shutil.copyfile)
    return {}


def read(folder: Path) -> Runtime:
    if not bundle.is_published_layout(bundle.read_config(folder)):
        return _read_with_bhasa(folder)
    with _quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, dtype=torch.float32
        ).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    def logits(ids: list[int]) -> NDArray[np.float32]:
        with torch.inference_mode(), _quiet():
            values: NDArray[np.float32] = (
                model(torch.tensor([ids]), use_cache=False).logits[0].float().numpy()
            )
        return values

    return Runtime(f"transformers {transformers.__version__}", encode, logits)


def _read_with_bhasa(folder: Path) -> Runtime:
    model, tokenizer = bundle.load(folder), bundle.load_tokenizer(folder)

    def logits(ids: list[int]) -> NDArray[np.float32]:
        with torch.inference_mode():
            values: NDArray[np.float32] = model(torch.tensor([ids]))[0][0].numpy()
        return values

    name = "bhasa itself: transformers' Mamba and Mamba-2 have no attention, MLP or LayerNorm"
    return Runtime(name, lambda text: encode_content(tokenizer, text), logits)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice to install CUDA kernels, and without bars for files that load in a moment."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


TARGET = Target(write, read, generates=False)
