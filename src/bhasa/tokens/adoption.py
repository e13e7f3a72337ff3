"""The tokenizer of a model that others trained, made one of ours: our marks at their ids.

Everywhere here a mark is known by its id, which is its place among `SPECIAL_TOKENS`. A tokenizer from
elsewhere has other tokens there (GPT-NeoX's has `<|padding|>` and three signs), so its tokens are numbered
anew: marks first, the tokens they displace where a mark or nothing was before, all others as they were. The
rows of the embedding have to move along, see `model.vocabulary`. Texts are cut into the same tokens as
before.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from bhasa.errors import UserError
from bhasa.tokens import bpe
from bhasa.tokens.shards import TOKENIZER_FILE
from bhasa.tokens.special import SPECIAL_TOKENS

REMEDY = (
    "put the tokenizer.json that belongs to the model there (of official Mamba models: that of "
    "EleutherAI/gpt-neox-20b), or choose another pretrain.init_from"
)


class Adopted(NamedTuple):
    """A tokenizer with our marks, and where its tokens come from."""

    tokenizer: Tokenizer
    rows: tuple[int | None, ...]
    """For each id the one it had before; None: a mark that is new."""


def open_adopted(folder: Path) -> Adopted:
    """Adopt the tokenizer of a model folder. One that has our marks already stays as it is."""
    path = folder / TOKENIZER_FILE
    return adopt(bpe.load(path, REMEDY), str(path))


def adopt(tokenizer: Tokenizer, where: str) -> Adopted:
    """Number the tokens of a BPE tokenizer anew; `where` names it in errors."""
    spec: dict[str, Any] = json.loads(tokenizer.to_str())
    before = tokenizer.get_vocab(with_added_tokens=True)
    if spec["model"]["type"] != "BPE" or sorted(before.values()) != list(range(len(before))):
        raise UserError(
            f"{where}: found {spec['model']['type']} with {len(before):,} tokens; allowed: BPE, and ids "
            f"from 0 on without a gap; {REMEDY}"
        )
    after = _numbered_anew(before)
    spec["model"]["vocab"] = after
    spec["model"]["dropout"] = None  # it would cut a text differently each time
    spec["added_tokens"] = _added(spec["added_tokens"], after)
    spec["truncation"] = spec["padding"] = None
    if (spec["post_processor"] or {}).get("type") != "ByteLevel":
        spec["post_processor"] = None  # it would put in tokens by their former ids
    names = {i: token for token, i in after.items()}
    rows = tuple(before.get(names[i]) for i in range(len(after)))
    return Adopted(Tokenizer.from_str(json.dumps(spec)), rows)


def _numbered_anew(before: dict[str, int]) -> dict[str, int]:
    """Token to id, in the order of ids: bijective, and different only where a mark is concerned."""
    marks = {mark: i for i, mark in enumerate(SPECIAL_TOKENS)}
    size = len(before.keys() | marks.keys())
    others = {token: i for token, i in before.items() if token not in marks}
    kept = {token: i for token, i in others.items() if i >= len(marks)}
    free = sorted(set(range(len(marks), size)) - set(kept.values()))
    displaced = sorted(others.keys() - kept.keys(), key=others.__getitem__)
    after = marks | kept | dict(zip(displaced, free, strict=True))
    return dict(sorted(after.items(), key=lambda entry: entry[1]))


def _added(added: list[dict[str, Any]], ids: dict[str, int]) -> list[dict[str, Any]]:
    """The tokens that are found before a text is cut, marks among them, by their new ids."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    entries = {entry["content"]: entry for entry in added}
    entries |= {mark: {"content": mark, **plain} for mark in SPECIAL_TOKENS}
    return sorted(
        ({**entry, "id": ids[content]} for content, entry in entries.items()), key=lambda entry: entry["id"]
    )
