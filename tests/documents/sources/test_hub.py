"""Data sets on a hub, in processes of their own, since where it is is decided when one starts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.sources.hub import COMMIT, serving

PROGRAM = """
import sys
from bhasa.documents.source_configs import HuggingFaceConfig
from bhasa.documents.sources.data_sets import open_data_set
from bhasa.errors import BhasaError
for values in map(eval, sys.argv[1:]):
    try:
        config = HuggingFaceConfig(kind="huggingface", **values)
        rows = open_data_set(config, max_file_bytes=1000).partitions()
        print(*(row.found[0].text for row in rows))
    except BhasaError as error:
        print(error.exit_code, error)
"""


def read(place: Path, *configs: dict[str, object], **variables: str) -> list[str]:
    """The texts of each data set on one line, or the exit code and the message."""
    (place / "home").mkdir(exist_ok=True, parents=True)
    known = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(repr, configs)],
        env=known | {"HOME": str(place / "home"), "DVC_ROOT": str(place / "work")} | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert list((place / "home").rglob("*")) == []
    assert [path.name for path in (place / "work").glob("*")] in ([], [".bhasa"])
    return answer.stdout.splitlines()


def on_hub(name: str, **more: object) -> dict[str, object]:
    return {"dataset": f"a/{name}", "revision": COMMIT, **more}


@pytest.mark.slow
def test_a_data_set_is_read_from_the_hub_and_then_from_its_copy(tmp_path: Path) -> None:
    with serving() as hub:
        whole = read(tmp_path, on_hub("good", streaming=True), on_hub("good"), HF_ENDPOINT=hub)
    assert whole == ["one two", "one two"]
    other = on_hub("good", revision="f" * 40)
    later = read(tmp_path, on_hub("good"), other, HF_HUB_OFFLINE="1")
    assert later[0] == "one two"
    assert later[1].startswith("1 ")  # never the copy of another revision
    assert "run again when it can be reached" in later[1]


@pytest.mark.slow
def test_what_is_wrong_on_the_hub_or_on_the_way_is_one_message(tmp_path: Path) -> None:
    with serving() as hub:
        names = ("absent", "script", "away", "cut", "down")
        absent, script, away, cut, down, revision = read(
            tmp_path, *map(on_hub, names), on_hub("good", revision="f" * 40), HF_ENDPOINT=hub
        )
    assert absent.startswith("2 ingest.sources: data set a/absent: ")
    assert "doesn't exist on the Hub" in absent
    assert "scripts are no longer supported" in script
    assert away.startswith(("1 ", "2 "))
    for failed in (cut, down):
        assert failed.startswith("1 ingest.sources: data set a/")
        assert "run again when it can be reached" in failed
    assert revision.startswith("2 ")
    assert "Revision" in revision


@pytest.mark.slow
def test_a_folder_is_read_without_a_hub(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train.jsonl").write_text(json.dumps({"text": "one"}))
    found = read(tmp_path, {"path": str(tmp_path / "raw")}, HF_ENDPOINT="http://127.0.0.1:9")
    assert found == ["one"]
    assert [path.name for path in (tmp_path / "raw").rglob("*")] == ["train.jsonl"]
