"""Parquet through pyarrow, a batch of rows at a time; columns of bytes, such as images, are left out.

pyarrow rather than pandas, which reads with it: a whole number beside a null stays whole. Times with a zone
are shown in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas  # type: ignore[import-untyped] # noqa: F401 - pyarrow needs it for times and would import it late
import pyarrow as pa
import pyarrow.parquet as pq

from bhasa.documents.readers.rows import read_table
from bhasa.documents.records import Record, Refused, quarantined

BATCH_ROWS = 256
MAX_CELLS = 100_000_000
MAX_BYTES = 1 << 30  # decoded; a few bytes may stand for a column of any length


def read(content: bytes, name: str) -> Iterator[Record | Refused]:
    try:
        table = pq.ParquetFile(pa.BufferReader(content))
        names = [column.name for column in table.schema_arrow if not _is_bytes(column.type)]
        yield from read_table(names, _rows(table, names))
    except (Refused, MemoryError):
        raise
    except Exception as error:  # any fault of the parser is this file's alone
        raise quarantined(f"broken Parquet file ({type(error).__name__})") from None


def _rows(table: pq.ParquetFile, names: list[str]) -> Iterator[tuple[object, ...]]:
    cells, size = 0, 0
    for batch in table.iter_batches(BATCH_ROWS, columns=names, use_threads=False):
        cells, size = cells + batch.num_rows * batch.num_columns, size + batch.nbytes
        if cells > MAX_CELLS or size > MAX_BYTES:
            raise quarantined("Parquet file that unpacks to more than is allowed")
        yield from zip(*(_plain(column).to_pylist() for column in batch.columns), strict=True)


def _plain(column: pa.Array) -> pa.Array:
    """Without a time zone, whose rules are in files, and in microseconds, which Python has."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us"), safe=False)
    return column


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )
