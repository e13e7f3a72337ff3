"""A model of the SentencePiece library (unigram or BPE), converted to a tokenizer that needs no such library.

The ids are SentencePiece's, moved up by the number of special tokens. Texts are cut as SentencePiece cuts
them (Kudo and Richardson, 2018, arXiv:1808.06226), also at its control symbols, which are only text here. Its
escape for a space, U+2581, is a space when it is decoded, so a text that has that very character is not
given back.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers
from tokenizers.models import BPE, Unigram
from tokenizers.pre_tokenizers import Split

from bhasa.errors import FileError
from bhasa.tokens.config import SentencePieceConfig
from bhasa.tokens.round_trip import require_exact
from bhasa.tokens.special import SPECIAL_TOKENS
from bhasa.tokens.tokenizer_files import begin_documents

NAMES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
SPACE = "\u2581"
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # types of pieces
UNIGRAM, BYTE_PAIRS = 1, 2  # types of models
NEVER = -1e6  # the score of what no text is to be cut into


def make(config: SentencePieceConfig, texts: Iterable[str] = ()) -> Tokenizer:
    """That of the file `path`; nothing is learned."""
    path = model_file(Path(config.path))
    proto = _read(path)
    tokenizer = Tokenizer(_unigram(proto) if proto.trainer_spec.model_type == UNIGRAM else _bpe(proto))
    if proto.trainer_spec.model_type == UNIGRAM:
        tokenizer.pre_tokenizer = Split(_never_whole(proto), "merged_with_previous")
    tokenizer.normalizer = _normalizer(proto.normalizer_spec)
    tokenizer.decoder = _decoder(proto.normalizer_spec)
    tokenizer.post_processor = begin_documents()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    symbols = [piece.piece for piece in proto.pieces if piece.type == USER_DEFINED]
    tokenizer.add_tokens([AddedToken(symbol, normalized=False) for symbol in symbols])
    if not config.allow_loss:
        require_exact(tokenizer, str(path))
    return tokenizer


def model_file(path: Path) -> Path:
    """The file itself, or the one in a folder of the usual names."""
    candidates = [path / name for name in NAMES] if path.is_dir() else [path]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise FileError(
        path, f"no SentencePiece model; expected a file, or a folder with one of {', '.join(NAMES)}"
    )


def _read(path: Path) -> Any:
    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    try:
        proto.ParseFromString(path.read_bytes())
    except DecodeError:
        raise FileError(path, "not a SentencePiece model") from None
    kind = proto.trainer_spec.model_type
    if kind not in (UNIGRAM, BYTE_PAIRS) or not proto.pieces or proto.trainer_spec.treat_whitespace_as_suffix:
        raise FileError(path, "not a unigram or BPE model with spaces before words, which alone are read")
    return proto


def _unigram(proto: Any) -> Unigram:
    pieces = [
        (piece.piece, piece.score if piece.type in (NORMAL, USER_DEFINED) else NEVER)
        for piece in proto.pieces
    ]
    return Unigram(
        [*((token, NEVER) for token in SPECIAL_TOKENS), *pieces],
        unk_id=len(SPECIAL_TOKENS) + proto.trainer_spec.unk_id,
        byte_fallback=proto.trainer_spec.byte_fallback,
    )


def _never_whole(proto: Any) -> Regex:
    """Matches the first character of what looks like a special token, control symbol or byte in a text.

    The text is cut after it. Where no piece has that first character, the whole would be cheaper than its
    bytes, whatever its score.
    """
    controls = [piece.piece for piece in proto.pieces if piece.type in (UNKNOWN, CONTROL, UNUSED)]
    names = [name for name in (*SPECIAL_TOKENS, *controls) if len(name) > 1]
    cuts = [f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in names]
    return Regex("|".join(["<(?=0x[0-9A-F]{2}>)", *cuts]))


def _bpe(proto: Any) -> BPE:
    vocabulary = [*SPECIAL_TOKENS, *(piece.piece for piece in proto.pieces)]
    return BPE(
        {token: i for i, token in enumerate(vocabulary)},
        _merges({piece.piece: piece.score for piece in proto.pieces if piece.type == NORMAL}),
        unk_token=proto.trainer_spec.unk_piece,
        fuse_unk=True,
        byte_fallback=proto.trainer_spec.byte_fallback,
    )


def _merges(scores: dict[str, float]) -> list[tuple[str, str]]:
    """Every pair that makes a piece, the best piece first; the library merges the best piece first, too."""
    merges = [
        (-score, piece[:cut], piece[cut:])
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    rank = {piece: place for place, piece in enumerate(scores)}
    merges.sort(key=lambda merge: (merge[0], rank[merge[1]], rank[merge[2]]))
    return [(left, right) for _, left, right in merges]


def _normalizer(spec: Any) -> normalizers.Normalizer:
    steps: list[normalizers.Normalizer] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.remove_extra_whitespaces:
        steps += [normalizers.Strip(left=True, right=True), normalizers.Replace(Regex(" {2,}"), " ")]
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(SPACE))
    return normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])


def _decoder(spec: Any) -> decoders.Decoder:
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if spec.add_dummy_prefix else steps)
