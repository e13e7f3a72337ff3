import sys
from pathlib import PurePosixPath

import pytest

from bhasa.documents.source_configs import PythonLibraryConfig
from bhasa.documents.sources.files import InputFile
from bhasa.documents.sources.python_library import open_library


def selection(max_bytes: int, max_file_bytes: int = 1 << 20) -> list[InputFile]:
    config = PythonLibraryConfig(kind="python-library", max_bytes=max_bytes)
    return list(open_library(config, max_file_bytes=max_file_bytes).files)


@pytest.fixture(scope="module")
def everything() -> list[InputFile]:
    return selection(1 << 40)


def test_holds_the_library_and_the_language_reference(everything: list[InputFile]) -> None:
    names = {file.name for file in everything}
    assert {
        "python-library/json/decoder.py",
        "python-library/pydoc_data/topics/assert.txt",
        "python-library/unittest/case.py",
    } <= names
    decoder = next(file for file in everything if file.name == "python-library/json/decoder.py")
    assert b"class JSONDecoder" in decoder.read()
    assert decoder.size == len(decoder.read())


def test_leaves_out_tests_tables_and_what_the_machine_decides(everything: list[InputFile]) -> None:
    for file in everything:
        parts = PurePosixPath(file.name).parts
        assert not {"test", "tests", "idle_test", "site-packages", "__pycache__", "encodings"} & set(parts)
        assert not parts[-1].startswith(("_sysconfigdata", "sitecustomize"))
        assert parts[0] == "python-library"
        assert sys.prefix not in file.name


def test_no_content_tells_where_python_is_installed(everything: list[InputFile]) -> None:
    prefix = sys.base_prefix.encode()
    if len(prefix) < 8:
        pytest.skip("a prefix such as /usr also occurs in the sources as they are published")
    assert [file.name for file in everything if prefix in file.read()] == []


def test_a_budget_is_kept_and_a_larger_one_only_adds() -> None:
    chosen = []
    for budget in (200_000, 1_000_000, 3_000_000):
        kept = {file.name: file.size for file in selection(budget) if not file.refusal}
        assert 0.5 * budget < sum(kept.values()) <= budget
        chosen.append(set(kept))
    assert chosen[0] < chosen[1] < chosen[2]


def test_a_file_over_the_limit_is_listed_and_takes_none_of_the_budget() -> None:
    files = selection(300_000, max_file_bytes=20_000)
    assert {str(file.refusal) for file in files if file.size > 20_000} == {"larger than max_file_bytes"}
    assert 150_000 < sum(file.size for file in files if not file.refusal) <= 300_000


def test_what_the_budget_leaves_out_is_still_listed(everything: list[InputFile]) -> None:
    small = selection(200_000)
    assert [file.name for file in small] == [file.name for file in everything]
    assert {str(file.refusal) for file in small if file.refusal} == {"beyond max_bytes"}
