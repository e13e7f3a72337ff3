"""Whether decoding gives back the very text that was encoded.

Every document is checked while it is encoded, by joining the bytes that its tokens stand for: a table of them
does that in a fraction of the time that the library's decoder takes, which builds a string for each token.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from bhasa.errors import UserError
from bhasa.tokens.special import special_ids

ODD_STRINGS = (
    " two  spaces, and a space before .  ",
    "\tdef f(x):\n\n        return x'\r\n",
    "na\u00efve caf\u00e9 e\u0301 \ufb01 \u00bd \u2460 \uff21 K\u212a",
    "\u65e5\u672c\u8a9e \u0939\u093f\u0928\u094d\u0926\u0940 \u0627\u0644\u0639 \U0001f469\u200d\U0001f52c",
    "<s></s><unk><pad>[CLS] <0x41> ## @@",
    "\x00\x01\x7f\x85\xa0\u2028\u3000\ufeff",
)
"""What a normaliser, a clean-up or a vocabulary without bytes changes."""

Check = Callable[[Sequence[int], str], bool]


def require_exact(tokenizer: Tokenizer, where: str) -> None:
    """Refuse a tokenizer that changes a text; `where` names it."""
    tokenizer.encode_special_tokens = True
    for text in ODD_STRINGS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        found = tokenizer.decode(ids, skip_special_tokens=False)
        if found != text:
            raise UserError(
                f"{where}: this tokenizer changes texts: {text!r} comes back as {found!r}; choose another, "
                "or set tokenize.tokenizer.allow_loss: true"
            )


def exactness(tokenizer: Tokenizer) -> Check:
    """Tells of ids and the text they were made from whether they stand for all of it."""
    table, prefix = token_bytes(tokenizer), _prefix(tokenizer)
    if table is None:
        return lambda ids, text: tokenizer.decode(ids, skip_special_tokens=False) == text
    bytes_of = table.__getitem__
    return lambda ids, text: b"".join(map(bytes_of, ids)) == (prefix + text.encode() if text else b"")


def token_bytes(tokenizer: Tokenizer) -> list[bytes] | None:
    """What each id stands for, nothing in the case of a special token; None: the decoder is not known."""
    spec: dict[str, Any] = json.loads(tokenizer.to_str())
    names, added = _names(tokenizer), {i: t.content for i, t in tokenizer.get_added_tokens_decoder().items()}
    convert = _conversion(spec["decoder"])
    if convert is None:
        return None
    table = [added[i].encode() if i in added else convert(name) for i, name in enumerate(names)]
    for i in special_ids(tokenizer):
        table[i] = b""
    return table


def _names(tokenizer: Tokenizer) -> list[str]:
    ids = {i: token for token, i in tokenizer.get_vocab().items()}
    return [ids.get(i, "") for i in range(max(ids, default=-1) + 1)]


def _conversion(decoder: dict[str, Any] | None) -> Callable[[str], bytes] | None:
    """How one token becomes bytes: known for byte-level tokens, and for characters with single bytes."""
    if decoder is None:
        return None
    if decoder["type"] == "ByteLevel":
        return _byte_level
    steps = [step["type"] for step in decoder.get("decoders", ())]
    if [step for step in steps if step not in ("Replace", "Strip")] == ["ByteFallback", "Fuse"]:
        spaces = [step["pattern"]["String"] for step in decoder["decoders"] if step["type"] == "Replace"]
        return lambda token: _byte_fallback(token, spaces)
    return None


def _byte_level(token: str) -> bytes:
    try:
        return bytes(BYTE_OF[character] for character in token)
    except KeyError:  # not of the alphabet: the library takes it as it is
        return token.encode()


def _byte_fallback(token: str, spaces: list[str]) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    for space in spaces:
        token = token.replace(space, " ")
    return token.encode()


def _prefix(tokenizer: Tokenizer) -> bytes:
    """What the tokenizer puts in front of a text, and its decoder takes away."""
    decoder = json.loads(tokenizer.to_str())["decoder"] or {}
    strips = any(step["type"] == "Strip" for step in decoder.get("decoders", ()))
    return b" " if strips else b""


def _alphabet() -> dict[str, int]:
    """Of GPT-2's alphabet: printable bytes stand for themselves, the others follow from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_OF = _alphabet()
assert BYTE_OF.keys() == set(ByteLevel.alphabet())
