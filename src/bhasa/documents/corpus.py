"""From files to the documents and conversations that are kept, and an account of each file.

A text is known by the SHA-256 of its cleaned form, so equal texts count once, wherever they come from; the
first in the order of `sources` and of file names is the one kept. Every file gets exactly one `Account`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from bhasa.documents.cleaning import clean
from bhasa.documents.config import IngestConfig
from bhasa.documents.files import Conversation, Document, InputFile, Outcome, Reading, Refused, Text, skipped
from bhasa.documents.questions import ask
from bhasa.documents.readers import Format, format_of
from bhasa.documents.splits import SPLITS, split_of
from bhasa.progress import progress


@dataclass(frozen=True)
class Account:
    """What became of one file."""

    source: str
    outcome: Outcome
    media_type: str
    bytes: int
    reason: str = ""
    details: tuple[str, ...] = ()
    """What it is a duplicate of; the lines of a kept file that could not be read."""


@dataclass
class Corpus:
    """What is kept so far; `add` takes one file after the other."""

    config: IngestConfig
    documents: dict[str, Document] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)

    def add(self, file: InputFile) -> Account:
        media_type = "unknown"
        try:
            if file.refusal:
                raise file.refusal
            form = format_of(file.name)
            media_type = form.media_type
            reading = form.read(file.read())
            documents = self._documents(reading, file.name, form)
        except Refused as refusal:
            return Account(file.name, refusal.outcome, media_type, file.size, refusal.reason)
        if self._keep(documents, reading.conversations):
            return Account(file.name, Outcome.KEPT, media_type, file.size, details=tuple(reading.problems))
        first = self.documents[documents[0].id].source if documents else "earlier conversations"
        return Account(
            file.name, Outcome.DUPLICATE, media_type, file.size, "equal text", (f"same as {first}",)
        )

    def _documents(self, reading: Reading, source: str, form: Format) -> list[Document]:
        documents = [_document(text, source, form) for text in reading.texts]
        long_enough = [document for document in documents if len(document.text) >= self.config.min_characters]
        if not long_enough and not reading.conversations:
            raise skipped("shorter than min_characters")
        return long_enough

    def _keep(self, documents: list[Document], conversations: list[Conversation]) -> bool:
        """Add what is new; whether anything was."""
        before = len(self.documents) + len(self.conversations)
        for document in documents:
            self.documents.setdefault(document.id, document)
        for conversation in conversations:
            self.conversations.setdefault(conversation.id, conversation)
        return len(self.documents) + len(self.conversations) > before

    def document_splits(self) -> dict[str, list[Document]]:
        splits: dict[str, list[Document]] = {split: [] for split in SPLITS}
        for identifier, document in sorted(self.documents.items()):
            splits[split_of(identifier, self.config)].append(document)
        return splits

    def chat_splits(self) -> dict[str, list[Conversation]]:
        """The conversations of files, and pairs made from Python documents up to `chat.max_pairs`.

        A pair is on its document's side, so that fine-tuning never sees what the base model is tested on.
        """
        splits: dict[str, list[Conversation]] = {split: [] for split in SPLITS}
        for identifier, conversation in self.conversations.items():
            splits[split_of(identifier, self.config)].append(conversation)
        pairs = self._pairs()
        for identifier in sorted(pairs)[: self.config.chat.max_pairs]:
            pair, split = pairs[identifier]
            splits[split].append(pair)
        return {split: sorted(conversations, key=lambda c: c.id) for split, conversations in splits.items()}

    def _pairs(self) -> dict[str, tuple[Conversation, str]]:
        pairs: dict[str, tuple[Conversation, str]] = {}
        with progress("making chat pairs", len(self.documents), "documents") as bar:
            for identifier, document in sorted(self.documents.items()):
                for pair in ask(document, max_answer_characters=self.config.chat.max_answer_characters):
                    if pair.id not in self.conversations:
                        pairs.setdefault(pair.id, (pair, split_of(identifier, self.config)))
                bar.advance(1)
        return pairs


def _document(text: Text, source: str, form: Format) -> Document:
    cleaned = clean(text.text)
    encoded = cleaned.encode()
    identifier = hashlib.sha256(encoded).hexdigest()
    meta = json.dumps(text.meta, sort_keys=True)
    return Document(identifier, source, form.media_type, form.language, cleaned, len(encoded), meta)
