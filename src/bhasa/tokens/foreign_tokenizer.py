"""The tokenizer of a model that others trained, made one of ours: our special tokens at their ids.

A special token is known by its id, its place among `SPECIAL_TOKENS`. A tokenizer from elsewhere has other
tokens there (GPT-NeoX's has `<|padding|>` and three signs), so its tokens are numbered
anew: special tokens first, the tokens they displace where a special token or nothing was before, all others
as they were. The rows of the embedding have to move along, see `model.vocabulary`. Texts are split into the
same tokens as before, but for our special tokens spelt out, which are text; what is put in front of them by
default is `<|endoftext|>`, as of our own.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from bhasa.errors import FileError, UserError
from bhasa.tokens import tokenizer_files
from bhasa.tokens.shards import TOKENIZER_FILE
from bhasa.tokens.special import SPECIAL_TOKENS

REMEDY = (
    "put the tokenizer.json that belongs to the model there (of official Mamba models: that of "
    "EleutherAI/gpt-neox-20b), or choose another pretrain.init_from"
)


class Renumbered(NamedTuple):
    """A tokenizer with our special tokens, and where its tokens come from."""

    tokenizer: Tokenizer
    rows: tuple[int | None, ...]
    """For each id the one it had before; None: a special token that is new."""


def open_foreign(folder: Path) -> Renumbered:
    """Renumber the tokenizer of a model folder. One that has our special tokens already stays as it is."""
    path = folder / TOKENIZER_FILE
    try:
        tokenizer = tokenizer_files.load(path)
    except FileError as error:
        raise UserError(f"{error}; {REMEDY}") from None
    return renumber_tokens(tokenizer, str(path))


def renumber_tokens(tokenizer: Tokenizer, where: str) -> Renumbered:
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
    spec["post_processor"] = None  # it would put in tokens by their former ids
    names = {i: token for token, i in after.items()}
    rows = tuple(before.get(names[i]) for i in range(len(after)))
    renumbered = Tokenizer.from_str(json.dumps(spec))
    renumbered.post_processor = tokenizer_files.begin_documents()
    return Renumbered(renumbered, rows)


def _numbered_anew(before: dict[str, int]) -> dict[str, int]:
    """Token to id, in the order of ids: bijective, only special tokens and those they displace move."""
    special = {token: i for i, token in enumerate(SPECIAL_TOKENS)}
    size = len(before.keys() | special.keys())
    others = {token: i for token, i in before.items() if token not in special}
    kept = {token: i for token, i in others.items() if i >= len(special)}
    free = sorted(set(range(len(special), size)) - set(kept.values()))
    displaced = sorted(others.keys() - kept.keys(), key=others.__getitem__)
    after = special | kept | dict(zip(displaced, free, strict=True))
    return dict(sorted(after.items(), key=lambda entry: entry[1]))


def _added(added: list[dict[str, Any]], ids: dict[str, int]) -> list[dict[str, Any]]:
    """The tokens that are found before a text is cut, special tokens among them, by their new ids."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    entries = {entry["content"]: entry for entry in added}
    entries |= {token: {"content": token, **plain} for token in SPECIAL_TOKENS}
    return sorted(
        ({**entry, "id": ids[content]} for content, entry in entries.items()), key=lambda entry: entry["id"]
    )
