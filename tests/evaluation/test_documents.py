import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bhasa.errors import UserError
from bhasa.evaluation.documents import load_texts


def write(path, texts):
    sizes = [len(text.encode()) for text in texts]
    pq.write_table(
        pa.table({"text": pa.array(texts, pa.string()), "bytes": pa.array(sizes, pa.int64())}), path
    )


def test_shards_are_read_in_order_up_to_the_budget(tmp_path):
    write(tmp_path / "test-00001.parquet", ["dddd", "eeee"])
    write(tmp_path / "test-00000.parquet", ["aaaa", "bbbb", "cccc"])
    write(tmp_path / "train-00000.parquet", ["not this"])
    assert load_texts(tmp_path, max_bytes=100) == ["aaaa", "bbbb", "cccc", "dddd", "eeee"]
    assert load_texts(tmp_path, max_bytes=14) == ["aaaa", "bbbb", "cccc", "dd"]
    assert load_texts(tmp_path, max_bytes=12) == ["aaaa", "bbbb", "cccc"]


def test_the_budget_is_in_bytes_and_cuts_no_character(tmp_path):
    write(tmp_path / "test-00000.parquet", ["\u00e9\u00e9\u00e9", "x"])
    assert load_texts(tmp_path, max_bytes=5) == ["\u00e9\u00e9"]


def test_an_empty_test_split_is_an_error(tmp_path):
    write(tmp_path / "test-00000.parquet", [])
    with pytest.raises(UserError, match="holds no text"):
        load_texts(tmp_path, max_bytes=10)
