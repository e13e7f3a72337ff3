"""Some of the texts that are not kept, for people to look at: how each begins, and why it was dropped.

Of each outcome and reason the first `SAMPLES_OF_A_REASON` in the order of reading, so that they are the same
however many workers read them; they are saved with the rest of the spool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from bhasa.documents.accounts import NEARLY_EQUAL_TEXT
from bhasa.documents.database import Database
from bhasa.documents.look import SAMPLES_OF_A_REASON, Dropped, Sample
from bhasa.documents.prepare import Prepared
from bhasa.documents.records import EXCERPT_CHARACTERS, Outcome, Refused
from bhasa.documents.tally import EQUAL_TEXT
from bhasa.documents.wire import Result

TABLE = "CREATE TABLE IF NOT EXISTS dropped (outcome, reason, sample)"


class DroppedTexts:
    """In a table of the spool's database; near duplicates are documents there already."""

    def __init__(self, database: Database) -> None:
        self._execute = database.execute
        self._execute(TABLE)

    def add(self, partition: str, result: Result, verdict: Refused | str) -> None:
        """`verdict` is why a record of the partition is not wanted, or the name of what it equals."""
        if isinstance(verdict, Refused):
            if verdict.excerpt:
                source = f"{partition}#{verdict.part}" if verdict.part else partition
                sample = Sample(source, (result.media_type,), result.bytes, verdict.excerpt)
                self._add(verdict.outcome, verdict.reason, sample)
        elif isinstance(result.found, Prepared):
            document = result.found.document
            about, excerpt = (result.media_type, f"same as {verdict}"), document.text[:EXCERPT_CHARACTERS]
            self._add(Outcome.DUPLICATE, EQUAL_TEXT, Sample(document.source, about, result.bytes, excerpt))

    def samples(self) -> Iterator[Dropped]:
        for outcome, reason, packed in self._execute("SELECT * FROM dropped ORDER BY rowid"):
            source, about, size, text = json.loads(packed)
            yield outcome, reason, Sample(source, tuple(about), size, text)
        yield from self._near_duplicates()

    def _add(self, outcome: Outcome, reason: str, sample: Sample) -> None:
        packed = json.dumps([sample.source, sample.about, sample.bytes, sample.text])
        earlier = "SELECT count(*) FROM dropped WHERE outcome = ?1 AND reason = ?2"
        insert = f"INSERT INTO dropped SELECT ?1, ?2, ?3 WHERE ({earlier}) < ?4"
        self._execute(insert, outcome, reason, packed, SAMPLES_OF_A_REASON)

    def _near_duplicates(self) -> Iterator[Dropped]:
        rows = self._execute(
            "SELECT d.source, d.media_type, printf('like %s (%.2f)', o.source, similarity), d.given, "
            "substr(text, 1, ?) FROM near_duplicates JOIN documents AS d ON d.rowid = document "
            'JOIN documents AS o ON o.rowid = "like" JOIN documents_text AS t ON t.rowid = document '
            "ORDER BY document LIMIT ?",
            EXCERPT_CHARACTERS,
            SAMPLES_OF_A_REASON,
        )
        for source, media_type, like, size, text in rows:
            sample = Sample(source, (media_type, like), size, text)
            yield Outcome.NEAR_DUPLICATE, NEARLY_EQUAL_TEXT, sample
