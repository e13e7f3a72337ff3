"""The texts to measure on: the test split, up to a budget."""

from pathlib import Path

from bhasa.errors import UserError
from bhasa.tokens.corpus import read_documents


def load_texts(folder: Path, *, max_bytes: int) -> list[str]:
    """The first `max_bytes` UTF-8 bytes of the test split, in the order of ids; the last text is cut to fit.

    Ids are hashes, so the first documents are a fair sample, and the budget is in bytes, so that the same
    text is measured whatever the tokenizer.
    """
    texts: list[str] = []
    left = max_bytes
    for document in read_documents(folder, "test"):
        content = document.text.encode()[:left]
        texts.append(content.decode(errors="ignore"))  # a character cut in two is left out
        left -= len(content)
        if not left:
            break
    texts = [text for text in texts if text]
    if not texts:
        raise UserError(
            f"{folder}: the test split holds no text; add documents or raise ingest.test_fraction"
        )
    return texts
