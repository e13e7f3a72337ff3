"""From a text as a reader found it to a document, or to the reason why it is left out.

A pure function of the text and the config, so that texts may be prepared anywhere and in any order: cleaned,
masked, held against the floors, judged as prose, and identified.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bhasa.dataset import Document
from bhasa.documents.cleaning import cleaned, size_of
from bhasa.documents.config import IngestConfig
from bhasa.documents.floors import below_floor
from bhasa.documents.masks import masked
from bhasa.documents.prose import judge, looks_like_code
from bhasa.documents.records import Origin, Refused, Text, quarantined
from bhasa.documents.signature import signature
from bhasa.documents.splits import place_of

MAX_TEXT_BYTES = 900_000_000  # what the spool holds in one row


@dataclass(frozen=True)
class Prepared:
    document: Document
    counts: Mapping[str, int] = field(default_factory=dict)
    """Bytes of UTF-8 by which each step made the text shorter, for those that changed it: together with the
    document's bytes they are those that the reader gave."""
    signature: bytes = b""
    """See `signature`; empty where the text has no words."""


def prepare(text: Text, partition: Origin, domain: str, config: IngestConfig) -> Prepared | Refused:
    language = text.language or partition.language
    better, counts = cleaned(text.text, config.clean.steps_for(prose=language == "und"))
    better, masks = masked(better, config.mask) if config.mask else (better, {})
    encoded = better.encode()
    if masks:
        counts["masks"] = size_of(text.text) - sum(counts.values()) - len(encoded)
    if len(encoded) > MAX_TEXT_BYTES:
        return quarantined("longer than one document may be")
    refusal = below_floor(better, encoded, config.min_characters)
    judged = language == "und" and (config.quality or config.languages is not None)
    if not refusal and judged and not looks_like_code(better):
        language, refusal = judge(better, config)
    if refusal:
        return Refused(refusal.outcome, refusal.reason, excerpt=better)
    identifier = hashlib.sha256(encoded).hexdigest()
    group = place_of(partition.name, text.part, config.split_by) or text.group
    document = Document(
        id=identifier,
        group=hashlib.sha256(group.encode()).hexdigest() if group else identifier,
        domain=domain,
        source=f"{partition.name}#{text.part}" if text.part else partition.name,
        media_type=text.media_type or partition.media_type,
        language=language,
        text=better,
        bytes=len(encoded),
        meta=json.dumps(text.meta | ({"masked": masks} if masks else {}), sort_keys=True),
    )
    return Prepared(document, counts, signature(encoded))
