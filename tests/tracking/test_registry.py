"""Which version of the registered model is the champion."""

from pathlib import Path
from typing import Any

import pytest

from bhasa.errors import UserError

registry = pytest.importorskip("bhasa.tracking.registry")

BEST = {"model_sha256": "a", "bits_per_byte": "1.5", "test_texts_sha256": "t"}


@pytest.mark.parametrize(
    ("new", "better", "why"),
    [
        ({"bits_per_byte": "1.4", "test_texts_sha256": "t"}, True, "1.4000 bits per byte against 1.5000"),
        ({"bits_per_byte": "1.6", "test_texts_sha256": "t"}, False, "1.6000 bits per byte against 1.5000"),
        ({"bits_per_byte": "1.5", "test_texts_sha256": "t"}, False, "on the same test texts"),
        ({"bits_per_byte": "nan", "test_texts_sha256": "t"}, False, "nan bits per byte"),
        ({"bits_per_byte": "1.4", "test_texts_sha256": "u"}, False, "other test texts"),
        ({"bits_per_byte": "1.4"}, False, "other test texts"),
        ({}, False, "no bits per byte of both"),
        ({"model_sha256": "a"}, True, "the same model"),
    ],
)
def test_only_a_better_version_takes_the_champion_s_place(
    new: dict[str, str], better: bool, why: str
) -> None:
    took, reason = registry.compare(new, BEST)
    assert took is better
    assert why in reason


def test_the_first_version_is_the_champion() -> None:
    assert registry.compare({}, None) == (True, "it is the first")


def test_a_version_becomes_the_champion_by_hand(store) -> None:
    name = "by-hand"
    with pytest.raises(UserError, match="no model is registered yet"):
        registry.promote(store.client, name, None)
    store.client.create_registered_model(name)
    for _ in range(2):
        store.client.create_model_version(name, "file:///nowhere")
    assert registry.promote(store.client, name, 1) == "version 1 is the champion now"
    assert registry.promote(store.client, name, None) == "version 2 is the champion now; it was version 1"
    assert registry.champion(store.client, name).version == 2
    with pytest.raises(UserError, match=r"no version 7 .*; there are \[1, 2\]"):
        registry.promote(store.client, name, 7)


@pytest.fixture
def details(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "weights").write_text("one")
    content = registry.dvc_hash(tmp_path / "export")
    folder = str(tmp_path / "export")
    kept = {"name": "again", "code": "code.py", "folder": folder, "content": content, "params": {}}
    return kept | {"packages": [], "figures": {"bits_per_byte": 1.5}}


def test_a_registration_that_was_cut_short_is_finished_and_makes_no_second_version(
    store, details: dict[str, Any]
) -> None:
    store.client.create_registered_model("again")
    store.client.create_model_version("again", "file:///nowhere", run_id="a" * 32)
    registry.register(store.client, "a" * 32, **details)
    (version,) = store.client.search_model_versions("name = 'again'")
    assert version.tags == {"bits_per_byte": "1.5"}
    assert registry.champion(store.client, "again").version == version.version


def test_a_folder_that_was_replaced_is_not_registered_as_what_it_was(store, details: dict[str, Any]) -> None:
    Path(details["folder"], "weights").write_text("two")
    with pytest.raises(ValueError, match=r"was replaced before it was registered; run `dvc repro -f export`"):
        registry.register(store.client, "b" * 32, **details)
