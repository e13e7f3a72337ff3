"""A tokenizer as a Hugging Face folder, which `transformers.AutoTokenizer.from_pretrained` opens."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from bhasa.errors import FileError
from bhasa.journal import write_json
from bhasa.tokens.chat import CHAT_TEMPLATE
from bhasa.tokens.shards import TOKENIZER_FILE
from bhasa.tokens.special import END_OF_TEXT, SPECIAL_TOKENS


def load(path: Path) -> Tokenizer:
    """Open a `tokenizer.json`."""
    if not path.is_file():
        raise FileError(path, "no such file")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise FileError(path, f"not a readable tokenizer ({error})") from None


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files that `transformers.AutoTokenizer.from_pretrained(folder)` opens; `folder` is made."""
    folder.mkdir()
    tokenizer.save(str(folder / TOKENIZER_FILE))
    write_json(folder / "tokenizer_config.json", _published_config())


def begin_documents() -> TemplateProcessing:
    """Puts `<|endoftext|>` in front of every text where `add_special_tokens` is not false.

    Other programs encode a prompt so by default, and a model has learnt every text after that token.
    """
    start = SPECIAL_TOKENS[END_OF_TEXT]
    return TemplateProcessing(
        single=f"{start} $A", pair=f"{start} $A {start}:1 $B:1", special_tokens=[(start, END_OF_TEXT)]
    )


def _published_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL_TOKENS[END_OF_TEXT],
        "eos_token": SPECIAL_TOKENS[END_OF_TEXT],
        "pad_token": SPECIAL_TOKENS[END_OF_TEXT],
        "add_bos_token": True,  # as in tokenizer.json; programs that read no post-processor look here
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,  # it would delete spaces before punctuation when decoding
        "model_max_length": int(1e30),  # what transformers writes for "no limit"
        "chat_template": CHAT_TEMPLATE,
    }
