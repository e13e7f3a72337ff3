import datetime
import io
import random
from contextlib import suppress
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bhasa.documents.config import IngestConfig
from bhasa.documents.prepare import Prepared
from bhasa.documents.readers import parquet_file
from bhasa.documents.readers.parquet_file import read
from bhasa.documents.records import Conversation, Preference, Refused, Text
from bhasa.documents.wire import Job
from bhasa.documents.workers import Processes

TALK = [{"role": "user", "content": "q", "name": None}, {"role": "assistant", "content": "a", "name": "Ada"}]


def written(rows: list[dict[str, object]], schema: pa.Schema | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), stream, **options)
    return stream.getvalue()


def test_every_kind_of_column_is_shown() -> None:
    noon = datetime.datetime(2024, 1, 31, 12)
    schema = pa.schema(
        [
            ("n", pa.int64()),
            ("x", pa.float64()),
            ("flag", pa.bool_()),
            ("word", pa.dictionary(pa.int32(), pa.string())),
            ("day", pa.date32()),
            ("here", pa.timestamp("ns")),
            ("there", pa.timestamp("ms", tz="Europe/Berlin")),
            ("price", pa.decimal128(9, 2)),
            ("list", pa.list_(pa.string())),
            ("map", pa.map_(pa.string(), pa.int8())),
            ("image", pa.binary()),
        ]
    )
    row = [1, 0.1 + 0.2, True, "one", noon.date(), noon, noon.replace(tzinfo=datetime.UTC), Decimal("1.50")]
    row += [["a", "\u00e9"], [("k", 7)], b"\x89PNG"]
    (found,) = read(written([dict(zip(schema.names, row, strict=True)), {"n": None}], schema), "file")
    assert isinstance(found, Text)
    assert found.part == "rows 1-2"
    assert found.text.split("\n")[1].split("\t") == [
        *("1", "0.3", "True", "one", "2024-01-31", "2024-01-31 12:00:00", "2024-01-31 12:00:00", "1.50"),
        *('["a", "\u00e9"]', '[["k", 7]]'),
    ]
    assert "image" not in found.text


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"id": 1, "messages": TALK}, Conversation),
        ({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, Conversation),
        ({"prompt": "q", "chosen": [TALK[1]], "rejected": [TALK[1] | {"content": "b"}]}, Preference),
        ({"text": "a long text", "score": 0.5}, Text),
    ],
)
def test_rows_in_a_known_shape(row: dict[str, object], kind: type) -> None:
    first, *_, last = read(written([row] * 600, row_group_size=100), "file")
    assert [type(first), first.part, last.part] == [kind, "row 1", "row 600"]


def test_what_pandas_writes_with_its_index_and_nulls() -> None:
    stream = io.BytesIO()
    pd.DataFrame({"word": ["one", None], "n": [1, None]}, index=["a", "b"]).to_parquet(stream)
    (found,) = read(stream.getvalue(), "file")
    assert isinstance(found, Text)
    assert found.text == "word\tn\t__index_level_0__\none\t1\ta\n\t\tb"


def test_a_column_of_little_that_stands_for_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "MAX_BYTES", 1 << 20)
    bomb = written([{"word": "x" * 10_000}] * 10_000)
    assert len(bomb) < 20_000
    with pytest.raises(Refused, match="Parquet file that unpacks to more than is allowed"):
        list(read(bomb, "file"))


def test_a_new_sandbox_has_memory_for_it() -> None:
    """Which pools of memory that reserve a GiB beforehand would take."""
    values = {"sources": [{"kind": "folder", "path": "raw"}], "min_characters": 1}
    job = Job("a.parquet", "", "und", "raw", parquet_file.__name__, written([{"word": "one"}]))
    with Processes(IngestConfig.parse(values, "test"), 1) as processes:
        ((result, end),) = processes.map([[job]])
    assert isinstance(result.found, Prepared)
    assert end is None


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"a,b\n1,2\n"])
def test_what_is_no_parquet_file_is_refused(content: bytes) -> None:
    with pytest.raises(Refused, match=r"broken Parquet file \(Arrow"):
        list(read(content, "file"))


def test_a_file_damaged_anywhere_is_read_or_refused() -> None:
    content = written([{"n": n, "word": f"word {n}", "talk": TALK} for n in range(50)])
    random.seed(0)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(3):
            damaged[random.randrange(len(content))] = random.randrange(256)
        with suppress(Refused):
            list(read(bytes(damaged), "file"))
