"""What is to be read, and how it becomes a job for a worker."""

from __future__ import annotations

from dataclasses import dataclass

from bhasa.documents.records import Partition, Refused
from bhasa.documents.wire import Job


@dataclass(frozen=True)
class Task:
    place: int
    """Of its source in `ingest.sources`."""
    domain: str
    partition: Partition

    def open(self) -> Job | Refused:
        """The content in memory, or why there is nothing to read."""
        partition = self.partition
        try:
            content = partition.content()
        except Refused as refusal:
            return refusal
        known = (partition.name, partition.media_type, partition.language, self.domain, partition.module)
        return Job(*known, content)
