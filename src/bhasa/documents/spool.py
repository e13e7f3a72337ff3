"""Where texts and conversations wait until they are split: tables that grow with them, not memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from bhasa.dataset import Document
from bhasa.documents.database import Database
from bhasa.documents.prepare import Prepared
from bhasa.documents.records import Conversation, Messages, Preference

NAMES = [field.name for field in fields(Document) if field.name != "text"]
REMAINS = "documents.rowid NOT IN (SELECT document FROM near_duplicates)"
BESIDE_TEXT = ", ".join(f'"{name}"' for name in NAMES)
ROWS_AT_ONCE = 10_000
TABLES = (
    f"CREATE TABLE IF NOT EXISTS documents ({BESIDE_TEXT}, account, given, counts, PRIMARY KEY (id))",
    "CREATE TABLE IF NOT EXISTS documents_text (text)",  # apart, since all the rest is read over and over
    "CREATE TABLE IF NOT EXISTS signatures (document INTEGER PRIMARY KEY, signature)",
    'CREATE TABLE IF NOT EXISTS near_duplicates (document INTEGER PRIMARY KEY, "like", similarity)',
    'CREATE TABLE IF NOT EXISTS conversations (id, "group", made, messages, PRIMARY KEY (id))',
    'CREATE TABLE IF NOT EXISTS preferences (id, "group", answers, PRIMARY KEY (id))',
)


class Spool:
    """Documents and conversations, each once; those of a split in the order of their ids."""

    def __init__(self, database: Database, split_of: Callable[[str], str]) -> None:
        self._execute = database.execute
        self._documents, self._remains = "documents", REMAINS
        database.connection.create_function("split_of", 1, split_of, deterministic=True)
        for table in TABLES:
            self._execute(table)

    def add(self, prepared: Prepared, account: int = 0, given: int = 0) -> str | None:
        """The source of the equal document that is here already, or None.

        `account` is the number of its partition, `given` the bytes of the text before cleaning.
        """
        document = prepared.document
        place = self._insert("documents", document, account, given, json.dumps(dict(prepared.counts)))
        if place is None:
            equal = self._execute("SELECT source FROM documents WHERE id = ?", document.id)
            return str(equal.fetchone()[0])
        if prepared.signature:
            self._execute("INSERT INTO signatures VALUES (?, ?)", place, prepared.signature)
        return None

    def add_conversation(self, conversation: Conversation, group: str, *, made: bool = False) -> bool:
        """Whether it is new. `made` is a pair that ingest made from a document of `group`."""
        messages = json.dumps(conversation.messages, ensure_ascii=False)
        insert = "INSERT OR IGNORE INTO conversations VALUES (?, ?, ?, ?)"
        return bool(self._execute(insert, conversation.id, group, made, messages).rowcount)

    def add_preference(self, preference: Preference) -> bool:
        """Whether it is new. Those of one prompt are of one group."""
        group = hashlib.sha256(json.dumps(preference.prompt).encode()).hexdigest()
        answers = (preference.prompt, preference.chosen, preference.rejected)
        insert = "INSERT OR IGNORE INTO preferences VALUES (?, ?, ?)"
        return bool(
            self._execute(insert, preference.id, group, json.dumps(answers, ensure_ascii=False)).rowcount
        )

    def drop_made(self, keep: int) -> None:
        """Of the pairs made leave the first `keep` by id."""
        first = "SELECT id FROM conversations WHERE made ORDER BY id LIMIT ?"
        self._execute(f"DELETE FROM conversations WHERE made AND id NOT IN ({first})", keep)

    def replace_documents(self, documents: Iterable[Document]) -> None:
        """From now on the documents are these, and none of them a near duplicate."""
        for table, columns in (("parts", f"{BESIDE_TEXT}, PRIMARY KEY (id)"), ("parts_text", "text")):
            self._execute(f"DROP TABLE IF EXISTS {table}")
            self._execute(f"CREATE TABLE {table} ({columns})")
        for document in documents:
            self._insert("parts", document)
        self._documents, self._remains = "parts", "TRUE"

    def signed(self) -> Iterator[int]:
        """The places of documents that have a signature, in the order in which they came."""
        for (place,) in self._execute("SELECT document FROM signatures ORDER BY document"):
            yield place

    def signatures(self, size: int) -> Iterator[bytes]:
        """The beginnings of all signatures in the order in which they came, many at a time joined."""
        rows = self._execute("SELECT substr(signature, 1, ?) FROM signatures ORDER BY document", size)
        while many := rows.fetchmany(ROWS_AT_ONCE):
            yield b"".join(part for (part,) in many)

    def signature(self, place: int, size: int) -> bytes:
        """The beginning of a document's signature."""
        found = self._execute(
            "SELECT substr(signature, 1, ?) FROM signatures WHERE document = ?", size, place
        )
        return bytes(found.fetchone()[0])

    def text(self, place: int) -> str:
        found = self._execute("SELECT text FROM documents_text WHERE rowid = ?", place)
        return str(found.fetchone()[0])

    def leave_out(self, place: int, like: int, similarity: float) -> None:
        """The document at `place` is nearly the same as the one at `like`: it is not among the documents."""
        self._execute("INSERT INTO near_duplicates VALUES (?, ?, ?)", place, like, similarity)

    def near_duplicates(self, domain: str | None = None) -> Iterator[tuple[str, str, float]]:
        """Of a domain or of all, in order: the source, that of what it is like, and how much."""
        pairs = (
            "SELECT d.source, o.source, similarity FROM near_duplicates "
            "JOIN documents AS d ON d.rowid = document "
            'JOIN documents AS o ON o.rowid = "like" '
            "WHERE ?1 IS NULL OR d.domain = ?1 ORDER BY document"
        )
        yield from self._execute(pairs, domain)

    def count_left_out(self) -> list[tuple[str, int, int]]:
        """Of each domain: documents, and how many of them are near duplicates."""
        counts = f"SELECT domain, count(*), sum(NOT {REMAINS}) FROM documents GROUP BY 1 ORDER BY 1"
        return list(self._execute(counts))

    def signed_texts(self, split: str) -> Iterator[tuple[str, bytes, bool]]:
        """Of documents with a signature, which are or would be in a split: the media type, the signature and
        whether it is a near duplicate; in the order of ids."""
        yield from self._execute(
            f"SELECT media_type, signature, NOT {REMAINS} FROM documents "
            'JOIN signatures ON documents.rowid = document WHERE split_of("group") = ? ORDER BY id',
            split,
        )

    def documents(self, split: str | None = None) -> Iterator[Document]:
        """Those of a split, or all, without near duplicates."""
        return self._whole(split, self._remains, "id")

    def shuffled_documents(self, language: str) -> Iterator[Document]:
        """Those in a language, of all splits alike: by bits of their ids that decide no split."""
        return self._whole(None, f"{self._remains} AND language = '{language}'", "substr(id, 17)")

    def _whole(self, split: str | None, condition: str, key: str) -> Iterator[Document]:
        for row in self._in_order(self._documents, f"rowid, {BESIDE_TEXT}", split, condition, key):
            place, values = row[0], dict(zip(NAMES, row[1:], strict=True))
            found = self._execute(f"SELECT text FROM {self._documents}_text WHERE rowid = ?", place)
            yield Document(text=found.fetchone()[0], **values)

    def conversations(self, split: str) -> Iterator[Conversation]:
        for (messages,) in self._in_order("conversations", "messages", split):
            yield Conversation(_messages(json.loads(messages)))

    def preferences(self, split: str) -> Iterator[Preference]:
        for (answers,) in self._in_order("preferences", "answers", split):
            prompt, chosen, rejected = map(_messages, json.loads(answers))
            yield Preference(prompt, chosen, rejected)

    def count_documents(self) -> dict[str, tuple[int, int]]:
        """Per split that has any: how many, and their bytes."""
        sums = 'SELECT split_of("group"), count(*), sum(bytes)'
        rows = self._execute(f"{sums} FROM {self._documents} WHERE {self._remains} GROUP BY 1")
        return {split: (count, size) for split, count, size in rows}

    def count_groups(self) -> int:
        """Of the documents."""
        count = f'SELECT count(DISTINCT "group") FROM {self._documents} WHERE {self._remains}'
        return int(self._execute(count).fetchone()[0])

    def count_cleaned(self) -> Mapping[str, int]:
        """How many of the documents each step of cleaning changed, or what else it counts."""
        sums = (
            "SELECT key, sum(value) FROM documents, json_each(documents.counts) "
            f"WHERE {REMAINS} GROUP BY 1 ORDER BY 1"
        )
        return dict(self._execute(sums))

    def count_conversations(self) -> dict[str, int]:
        """Per split that has any."""
        return dict(self._execute('SELECT split_of("group"), count(*) FROM conversations GROUP BY 1'))

    def count_preferences(self) -> dict[str, int]:
        """Per split that has any."""
        return dict(self._execute('SELECT split_of("group"), count(*) FROM preferences GROUP BY 1'))

    def _insert(self, table: str, document: Document, *more: object) -> int | None:
        """Its place, or None where it is there already."""
        values = dict(vars(document))
        text = values.pop("text")
        added = self._execute(
            f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * (len(values) + len(more)))})",
            *values.values(),
            *more,
        )
        if not added.rowcount:
            return None
        self._execute(f"INSERT INTO {table}_text (rowid, text) VALUES (?, ?)", added.lastrowid, text)
        return added.lastrowid

    def _in_order(
        self, table: str, columns: str, split: str | None, condition: str = "TRUE", key: str = "id"
    ) -> Iterator[tuple[Any, ...]]:
        """Row after row by a list of places, so that what is sorted holds no texts."""
        chosen = f'(?1 IS NULL OR split_of("group") = ?1) AND {condition}'
        places = self._execute(f"SELECT rowid FROM {table} WHERE {chosen} ORDER BY {key}", split)
        for (place,) in places:
            yield self._execute(f"SELECT {columns} FROM {table} WHERE rowid = ?", place).fetchone()


def _messages(pairs: list[list[str]]) -> Messages:
    return tuple((role, content) for role, content in pairs)
