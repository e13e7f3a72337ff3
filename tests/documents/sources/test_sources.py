"""What every source in the registry promises."""

from pathlib import Path
from typing import get_args

import pytest

from bhasa.documents.config import IngestConfig, Source
from bhasa.documents.sources import SOURCES, list_files


def settings(kind: str, folder: Path) -> dict[str, object]:
    return {"folder": {"path": str(folder)}, "python-library": {"max_bytes": 300_000}}[kind] | {"kind": kind}


@pytest.mark.parametrize("kind", SOURCES)
def test_lists_named_files_in_order_the_same_way_each_time(kind: str, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    (source,) = IngestConfig.parse({"sources": [settings(kind, tmp_path)]}, "test").sources
    files = list_files(source, max_file_bytes=1 << 20)
    names = [file.name for file in files]
    assert names == sorted(set(names))
    assert not any(Path(name).is_absolute() or str(tmp_path) in name for name in names)
    contents = [file.read() for file in files if not file.refusal]
    assert contents
    assert contents == [f.read() for f in list_files(source, max_file_bytes=1 << 20) if not f.refusal]


def test_every_kind_has_a_config_and_every_config_a_kind() -> None:
    union = get_args(Source)[0]
    assert {get_args(c.model_fields["kind"].annotation)[0] for c in get_args(union)} == set(SOURCES)
