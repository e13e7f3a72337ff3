"""Writing a model folder whole, and opening one."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import nn

from bhasa import journal
from bhasa.bundle import reading, weights
from bhasa.bundle.published import is_published_layout, to_published
from bhasa.bundle.reading import CONFIG, HEAD
from bhasa.bundle.weights import EMBEDDINGS, WEIGHTS
from bhasa.cards import model_card
from bhasa.errors import FileError
from bhasa.hardware import machine
from bhasa.model.language_model import LanguageModel, outline
from bhasa.tokens import tokenizer_files
from bhasa.tokens.special import END_OF_TEXT, SPECIAL_TOKENS, special_ids

TOKENIZER, GENERATION = "tokenizer.json", "generation_config.json"
PROVENANCE, CARD = "provenance.json", "README.md"
TOKENIZER_HASH = "tokenizer_sha256"
TOKENIZER_FILES = (
    *(TOKENIZER, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "chat_template.jinja"),
)


def save(folder: Path, model: LanguageModel, *, tokenizer: Path, provenance: Mapping[str, Any]) -> None:
    """Write the whole folder, or nothing. `tokenizer` is the folder whose tokenizer, if any, is copied."""
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    if model.config.tie_embeddings:
        del tensors[HEAD]  # one tensor, one name: the published files leave it out too
    with journal.publish(folder) as draft:
        draft.mkdir()
        copy_files(tokenizer, draft, TOKENIZER_FILES)
        save_file(tensors, draft / WEIGHTS, metadata={"format": "pt"})
        journal.write_json(draft / CONFIG, to_published(model.config))
        journal.write_json(draft / GENERATION, _generation_config(draft))
        provenance = machine() | dict(provenance) | _tokenizer_hash(draft)
        journal.write_json(draft / PROVENANCE, provenance)
        page = model_card(
            model.config,
            parameters=model.num_parameters(),
            layout="transformers" if is_published_layout(model.config) else "bhasa",
            provenance=provenance,
            file=PROVENANCE,
        )
        journal.write_text(draft / CARD, page)


def _generation_config(folder: Path) -> dict[str, Any]:
    """What `generate` of other programs does by default is what ours does: any special token ends a text."""
    path = folder / TOKENIZER
    known = special_ids(tokenizer_files.load(path)) if path.is_file() else range(len(SPECIAL_TOKENS))
    return {"bos_token_id": END_OF_TEXT, "eos_token_id": sorted(known), "pad_token_id": END_OF_TEXT}


def _tokenizer_hash(folder: Path) -> dict[str, str]:
    """Of the tokenizer in the folder, by its name in the provenance; nothing where there is none."""
    path = folder / TOKENIZER
    return {TOKENIZER_HASH: journal.sha256_file(path)} if path.is_file() else {}


def copy_files(source: Path, target: Path, names: tuple[str, ...]) -> None:
    """Copy those of the files that there are; contents only, since DVC keeps its files read-only."""
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def load(
    folder: Path,
    device: str | torch.device = "cpu",
    *,
    backend: str = "auto",
    dtype: torch.dtype = torch.float32,
) -> LanguageModel:
    """The model of a folder, in evaluation mode, in float32 whatever the file has.

    `dtype` is that of the projections inside the layers alone, which are most of a model. With one in half
    precision a model runs under autocast to it, and gives there what the float32 model does, to the bit.
    """
    config, tensors = reading.read(folder)
    model = outline(config, backend)
    projections = {f"{name}.weight" for name, m in model.named_modules() if isinstance(m, nn.Linear)} - {HEAD}
    tensors = {
        name: tensor.to(dtype if name in projections else torch.float32).contiguous()
        for name, tensor in tensors.items()
    }
    if config.tie_embeddings:
        tensors[HEAD] = tensors[EMBEDDINGS]
    model.load_state_dict(tensors, assign=True)
    if config.tie_embeddings:
        model.lm_head.weight = model.backbone.embeddings.weight
    return model.to(device).eval()


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder.

    Raises `FileError` where the model beside it has no rows for its tokens, or was saved with another.
    """
    tokenizer = tokenizer_files.load(folder / TOKENIZER)
    saved = journal.read_json(folder / PROVENANCE) if (folder / PROVENANCE).is_file() else {}
    if saved.get(TOKENIZER_HASH, "") not in ("", *_tokenizer_hash(folder).values()):
        raise FileError(
            folder / TOKENIZER,
            f"not the tokenizer that the model was saved with ({PROVENANCE}); put that one back",
        )
    embedding = weights.shapes(folder).get(EMBEDDINGS)
    largest = max(tokenizer.get_vocab().values(), default=0)
    if embedding and largest >= embedding[0]:
        raise FileError(
            folder / TOKENIZER, f"token id {largest} has no row in the model's vocabulary of {embedding[0]}"
        )
    return tokenizer
