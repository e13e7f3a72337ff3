"""What became of the records of one partition, added up to its account."""

from __future__ import annotations

from collections import Counter

from bhasa.documents.accounts import Account
from bhasa.documents.prepare import Prepared
from bhasa.documents.records import Outcome, Partition, Refused, skipped
from bhasa.documents.wire import Result

MAX_DETAILS = 20  # of one account
EQUAL_TEXT = "equal text"


class Tally:
    """Of a partition that has many parts the first are named, the rest are counted."""

    def __init__(self) -> None:
        self._kept = False
        self._same_as = ""
        self._whole: Refused | None = None
        self._parts: Counter[tuple[Outcome, str]] = Counter()
        self._details: list[str] = []
        self._more = 0
        self._text_bytes = self._chats = 0
        self._texts: Counter[tuple[Outcome, str, str]] = Counter()
        self._sizes: Counter[tuple[Outcome, str, str]] = Counter()

    def add(self, result: Result, verdict: Refused | str | None) -> None:
        """`verdict` is None for what is new, else why it is not wanted, or the name of what it equals."""
        self._text_bytes += result.bytes
        if verdict is None:
            self._kept = True
            if not isinstance(result.found, Prepared):
                self._chats += 1
                self._count(result, Outcome.KEPT, "")
        elif isinstance(verdict, str):
            self._same_as = self._same_as or verdict
            self._count(result, Outcome.DUPLICATE, EQUAL_TEXT)
        else:
            self._refuse(verdict)
            if result.bytes:
                self._count(result, verdict.outcome, verdict.reason)

    def account(self, place: int, partition: Partition) -> Account:
        outcome, reason = self._outcome()
        details = [f"same as {self._same_as}"] if outcome == Outcome.DUPLICATE else []
        details += [*self._details, *([f"{self._more} more"] if self._more else [])]
        return Account(
            *(place, partition.name, partition.stamp, outcome, partition.media_type, partition.size),
            *(reason, tuple(details), self._text_bytes, self._chats, self._texts, self._sizes),
        )

    def _outcome(self) -> tuple[Outcome, str]:
        """Kept when anything in it is; else what most of its parts are, if nothing is said of the whole."""
        if self._kept:
            return Outcome.KEPT, ""
        if self._same_as:
            return Outcome.DUPLICATE, EQUAL_TEXT
        if self._whole or not self._parts:
            whole = self._whole or skipped("nothing in it")
            return whole.outcome, whole.reason
        return self._parts.most_common(1)[0][0]

    def _refuse(self, refused: Refused) -> None:
        if not refused.part:
            self._whole = refused
            return
        self._parts[refused.outcome, refused.reason] += 1
        if len(self._details) < MAX_DETAILS:
            self._details.append(f"{refused.part}: {refused.reason}")
        else:
            self._more += 1

    def _count(self, result: Result, outcome: Outcome, reason: str) -> None:
        self._texts[outcome, result.media_type, reason] += 1
        self._sizes[outcome, result.media_type, reason] += result.bytes
