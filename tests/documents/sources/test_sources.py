"""What every source in the registry promises."""

from pathlib import Path
from typing import get_args

import pytest

from bhasa.documents.config import IngestConfig, SourceConfig
from bhasa.documents.records import Refused
from bhasa.documents.sources import SOURCES, open_source


def settings(kind: str, folder: Path) -> dict[str, object]:
    return {"folder": {"path": str(folder)}, "python-library": {"max_bytes": 300_000}}[kind] | {"kind": kind}


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
    assert source.size == sum(partition.size for partition in partitions)
    records = [found for p in partitions for found in p.records() if not isinstance(found, Refused)]
    assert records
    again = open_source(config, max_file_bytes=1 << 20).partitions()
    assert records == [found for p in again for found in p.records() if not isinstance(found, Refused)]


def test_every_kind_has_a_config_and_every_config_a_kind() -> None:
    union = get_args(SourceConfig)[0]
    assert {get_args(c.model_fields["kind"].annotation)[0] for c in get_args(union)} == set(SOURCES)
