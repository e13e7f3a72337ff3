"""What every source in the registry promises."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest

from bhasa.documents.config import IngestConfig
from bhasa.documents.records import Partition, Refused
from bhasa.documents.source_configs import FsspecConfig, SourceConfig
from bhasa.documents.sources import SOURCES, open_source
from bhasa.errors import UserError


def listing(address: str) -> str:
    """The hash that the refusal of a source without one prints."""
    with pytest.raises(UserError) as caught:
        open_source(FsspecConfig(kind="fsspec", address=address), max_file_bytes=1)
    return str(caught.value)[-65:-1]


def settings(kind: str, folder: Path) -> dict[str, object]:
    """Written when the folder has its files."""
    address = f"file://{folder}"
    values: dict[str, dict[str, object]] = {
        "folder": {"path": str(folder)},
        "fsspec": {"address": address, "listing_sha256": listing(address)},
        "huggingface": {"path": str(folder)},
        "file": {"path": str(folder / "a.txt")},
        "python-library": {"max_bytes": 300_000},
    }
    return {"kind": kind} | values[kind]


def contents(partitions: Iterable[Partition]) -> dict[str, bytes]:
    found = {}
    for partition in partitions:
        with suppress(Refused):
            found[partition.name] = partition.content()
    return found


@pytest.mark.parametrize("kind", SOURCES)
def test_lists_named_files_in_order_the_same_way_each_time(kind: str, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    (config,) = IngestConfig.parse({"sources": [settings(kind, tmp_path)]}, "test").sources
    source = open_source(config, max_file_bytes=1 << 20)
    partitions = list(source.partitions())
    names = [partition.name for partition in partitions]
    assert names == sorted(set(names))
    assert not any(Path(name).is_absolute() or str(tmp_path) in name for name in names)
    read = contents(partitions)
    assert read
    assert source.size in (0, sum(map(len, read.values())))  # 0: not known before
    assert contents(open_source(config, max_file_bytes=1 << 20).partitions()) == contents(partitions)


def test_every_kind_has_a_config_and_every_config_a_kind() -> None:
    union = get_args(SourceConfig)[0]
    assert {get_args(c.model_fields["kind"].annotation)[0] for c in get_args(union)} == set(SOURCES)


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    sources: list[dict[str, object]] = [
        {"kind": "folder", "path": "raw"},
        {"kind": "folder", "path": "b/raw"},
    ]
    with pytest.raises(UserError, match=r"sources\.1: 'raw' is the name of sources\.0 too; give one"):
        IngestConfig.parse({"sources": sources}, "test")
    sources[1]["name"] = "old"
    assert [source.domain for source in IngestConfig.parse({"sources": sources}, "test").sources] == [
        "raw",
        "old",
    ]


@pytest.mark.parametrize("kind", SOURCES)
def test_names_begin_with_the_name_of_the_source(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    values = settings(kind, tmp_path) | {"name": "mine"}
    (config,) = IngestConfig.parse({"sources": [values]}, "test").sources
    partitions = open_source(config, max_file_bytes=1 << 20).partitions()
    assert {partition.name.split("/")[0] for partition in partitions} == {"mine"}
