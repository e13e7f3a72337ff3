import io
import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pypdf import PdfWriter
from typer import Typer
from typer.testing import CliRunner

from benchmarks.corpora import prose
from bhasa.documents.config import IngestConfig
from bhasa.documents.look import visible
from bhasa.errors import UserError
from bhasa.journal import sha256_folder
from bhasa.stages import ingest
from bhasa.tracking import NullTracker

SHIPPED = Path(__file__).parents[2] / "data" / "raw"
CPU = Path(__file__).parents[2] / "pipeline" / "hardware" / "cpu.yaml"
SHIPPED_NAMES = (
    "README.md",
    "leaky_integrator.c",
    "memory-in-one-page.pdf",
    "questions.jsonl",
    "running_statistics.py",
    "state-space-models.txt",
    "training-a-small-model.rst",
)
FOLDER = {"kind": "folder", "path": "data/raw"}
LIBRARY = {"kind": "python-library", "max_bytes": 1_000_000}


@pytest.fixture
def raw(workspace: Path) -> Path:
    """The user's folder of a project, with two documents in it."""
    raw = workspace / "data" / "raw"
    raw.mkdir(parents=True)
    notes = "# Notes\n\nA state of fixed size remembers what matters most of all, and not the rest.\n"
    (raw / "notes.md").write_text(notes)
    (raw / "tool.py").write_text(
        'def half(x):\n    """Return one half of the number that was given."""\n' * 2
    )
    return raw


def run(*sources: dict[str, object], workers: int = 2, **values: object) -> dict[str, float]:
    config = IngestConfig.parse({"sources": list(sources)} | values, "params.yaml: ingest")
    return ingest.run(
        config,
        executor="processes",
        workers=workers,
        raw=[Path("data/raw")],
        documents=Path("out/documents"),
        chat=Path("out/chat"),
        accounts=Path("out/accounts.parquet"),
        report=Path("out/ingest.json"),
        page=Path("out/data.html"),
        tracker=NullTracker(),
    )


def accounts() -> list[dict[str, Any]]:
    """Those of the user's files."""
    rows = pq.read_table("out/accounts.parquet").to_pylist()
    return [row for row in rows if not row["source"].startswith("python-library/")]


def outcomes() -> list[tuple[str, str]]:
    return [(row["source"], row["outcome"]) for row in accounts()]


def test_files_and_the_library_become_documents_and_chat(raw: Path) -> None:
    metrics = run(FOLDER, LIBRARY)
    report = json.loads(Path("out/ingest.json").read_text())
    assert outcomes() == [("raw/notes.md", "kept"), ("raw/tool.py", "kept")]
    assert pq.read_metadata("out/accounts.parquet").num_rows == report["files"]["in"]
    for split in ("train", "validation", "test"):
        table = pq.read_table(f"out/documents/{split}-00000.parquet")
        assert table.num_rows == metrics[f"{split}_documents"] == report["documents"][split]["documents"] > 0
        assert table["id"].to_pylist() == sorted(table["id"].to_pylist())
        chat = [json.loads(line) for line in Path(f"out/chat/{split}.jsonl").read_text().splitlines()]
        assert len(chat) == metrics[f"{split}_conversations"]
        assert [row["id"] for row in chat] == sorted(row["id"] for row in chat)


def test_the_sample_that_ships_is_read_whole(workspace: Path) -> None:
    shipped = [SHIPPED / name for name in SHIPPED_NAMES if (SHIPPED / name).is_file()]
    if not shipped:
        pytest.skip("the user's own files are there instead")
    (workspace / "data" / "raw").mkdir(parents=True)
    for path in shipped:
        shutil.copy(path, workspace / "data" / "raw")
    assert run(FOLDER, LIBRARY)["files_quarantined"] == 0
    assert outcomes() == [(f"raw/{path.name}", "kept") for path in shipped]


def test_two_runs_write_the_same_bytes_wherever_they_run(
    raw: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(FOLDER, LIBRARY)
    here, elsewhere = Path("out").absolute(), tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(raw, elsewhere / "data" / "raw")
    monkeypatch.chdir(elsewhere)
    run(FOLDER, LIBRARY)
    assert sha256_folder(here) == sha256_folder(elsewhere / "out")


def test_the_page_shows_what_was_kept_and_what_was_not(raw: Path) -> None:
    (raw / "copy.md").write_text((raw / "notes.md").read_text())
    (raw / "<b>.bin").write_text("text")
    run(FOLDER, LIBRARY)
    page = Path("out/data.html").read_text()
    assert "same as raw/copy.md" in page
    assert "unsupported format .bin" in page
    assert "&lt;b&gt;.bin" in page
    assert "A state of fixed size remembers" in page
    assert str(raw) not in page


def test_the_page_shows_how_dropped_texts_begin(raw: Path) -> None:
    body = " ".join(f"word{n}" for n in range(300))
    short = [f"<i>short {n}</i>" for n in range(5)]
    rows = [{"text": text} for text in (*short, body, body)]
    (raw / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (raw / "solid.txt").write_text("<u>\u202e" + "x" * 30_000)
    (raw / "yes.txt").write_text(f"<b>nearly\u202e</b> {body}")
    pages = []
    for workers in (1, 2):
        run(FOLDER, workers=workers, clean={"unicode": False})
        pages.append(Path("out/data.html").read_text())
    assert pages[0] == pages[1]
    sections = {section.split("</bdi>")[0]: section for section in pages[0].split("Samples of what is ")[1:]}
    texts = {name: re.findall(r"<pre><bdi>([^<]*?)\n*</bdi></pre>", text) for name, text in sections.items()}
    assert texts == {
        "duplicate: equal text": [body[:200]],
        "filtered: mostly without blanks": [visible("&lt;u&gt;\u202e" + "x" * 196)],
        "near duplicate: nearly equal text": [
            visible("&lt;b&gt;nearly\u202e&lt;/b&gt; ") + body[: 200 - len("<b>nearly_</b> ")]
        ],
        "skipped: shorter than min_characters": [f"&lt;i&gt;short {n}&lt;/i&gt;" for n in range(3)],
    }
    for source in ("raw/rows.jsonl#line 3", "raw/rows.jsonl#line 7", "raw/yes.txt", "raw/solid.txt"):
        assert source in pages[0]


def test_bad_files_are_set_aside_and_the_rest_is_kept(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = PdfWriter()
    writer.add_blank_page(width=100, height=100)
    writer.write(blank := io.BytesIO())
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(locked := io.BytesIO())
    (raw / "blank.pdf").write_bytes(blank.getvalue())
    (raw / "locked.pdf").write_bytes(locked.getvalue())
    (raw / "cut.pdf").write_bytes(blank.getvalue()[:60])
    (raw / "odd.txt").write_bytes(b"\x81\x8d\x90")
    metrics = run(FOLDER, LIBRARY)
    refused = {row["source"]: row["reason"] for row in accounts() if row["outcome"] == "quarantined"}
    assert refused == {
        "raw/blank.pdf": "PDF without text",
        "raw/cut.pdf": "broken PDF (PdfStreamError)",
        "raw/locked.pdf": "encrypted PDF",
        "raw/odd.txt": "unknown encoding",
    }
    assert metrics["files_quarantined"] == 4
    assert [outcome for _, outcome in outcomes()].count("kept") == 2
    said = capsys.readouterr().err
    kept = r"ingest: kept \d+ of \d+ files, [\d.]+ kB of [\d.]+ MB; not kept: beyond max_bytes \("
    assert re.search(kept, said)
    assert "most bytes" not in said
    assert "PDF without text (1 files, " in said


def test_that_most_was_not_kept_is_said(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (raw / "large.txt").open("wb") as sparse:
        sparse.truncate(1 << 40)
    run(FOLDER, LIBRARY)
    first, *_, kept, warning = capsys.readouterr().err.splitlines()
    assert "not kept: larger than max_file_bytes (1 files, 1099.5 GB), " in kept
    assert warning == "ingest: most bytes were not kept; out/accounts.parquet says why, file by file"
    assert re.search(r"/\d{3} kB", first)


def test_only_the_library_needs_no_folder(workspace: Path) -> None:
    assert run(LIBRARY)["files_kept"] > 20


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "docs",
            r"sources\.1\.path: 'docs' is not among what DVC watches \(data/raw\): add `--raw docs`",
        ),
        ("data", "'data' is not among what DVC watches"),
        ("data/raw/../../docs", "is not among what DVC watches"),
        ("data/raw/absent", "data/raw/absent: no such folder"),
        ("data/raw/notes.md", "data/raw/notes.md: no such folder"),
    ],
)
def test_a_folder_that_is_not_watched_or_not_there_is_named(raw: Path, path: str, message: str) -> None:
    Path("docs").mkdir()
    with pytest.raises(UserError, match=message):
        run(LIBRARY, {"kind": "folder", "path": path})


def test_a_folder_below_a_watched_one_is_read(raw: Path) -> None:
    (raw / "part").mkdir()
    (raw / "notes.md").rename(raw / "part" / "notes.md")
    run(LIBRARY, {"kind": "folder", "path": "data/raw/part"})
    assert outcomes() == [("part/notes.md", "kept")]


def test_an_empty_folder_is_named_and_nothing_good_is_lost(raw: Path) -> None:
    run(FOLDER, LIBRARY)
    before = sha256_folder(Path("out"))
    shutil.rmtree(raw)
    raw.mkdir()
    with pytest.raises(UserError, match="data/raw: no files there; add yours"):
        run(FOLDER, LIBRARY)
    assert sha256_folder(Path("out")) == before
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "accounts.parquet",
        "chat",
        "data.html",
        "documents",
        "ingest.json",
    ]


def test_nothing_kept_says_why_and_what_can_be_read(raw: Path) -> None:
    (raw / "notes.md").rename(raw / "notes.xyz")
    (raw / "tool.py").write_text("x = 1")
    with pytest.raises(UserError) as caught:
        run(FOLDER)
    message = str(caught.value)
    assert "none of 2 files could be kept: " in message
    assert "shorter than min_characters (1), unsupported format .xyz (1)" in message
    assert ".txt" in message
    assert "python-library" in message


def test_too_few_documents_for_all_splits(raw: Path) -> None:
    with pytest.raises(
        UserError, match=r"too few documents for all splits \(train \d, validation \d, test \d\)"
    ):
        run(FOLDER)


@pytest.fixture
def sixty(raw: Path) -> Path:
    """Enough documents for all splits, and no conversation in them."""
    (raw / "tool.py").unlink()
    for n in range(60):
        (raw / f"{n}.txt").write_text(f"text number {n}\n" * 10)
    return raw


def test_without_conversations_they_are_made_of_the_texts(
    sixty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = run(FOLDER)
    report = json.loads(Path("out/ingest.json").read_text())
    made = report["made"]["continuations"]
    assert made == sum(metrics[f"{split}_conversations"] for split in ("train", "validation", "test")) > 50
    assert f"too few conversations to fine-tune on: {made} are made" in capsys.readouterr().err
    assert not report["made"]["divided"]
    (first, *_) = map(json.loads, Path("out/chat/validation.jsonl").read_text().splitlines())
    assert first["messages"][0]["content"].startswith("Continue: text number")


def test_no_conversations_are_made_where_none_are_wanted(sixty: Path) -> None:
    with pytest.raises(UserError, match=r"too few conversations .*\(train 0, validation 0\)"):
        run(FOLDER, chat={"max_pairs": 0})


def test_conversations_are_made_where_there_are_none_to_validate_on(sixty: Path) -> None:
    talks = [
        [{"role": "user", "content": f"after {n}?"}, {"role": "assistant", "content": f"{n + 1}"}]
        for n in range(3)
    ]
    (sixty / "talk.jsonl").write_text("".join(json.dumps({"messages": talk}) + "\n" for talk in talks))
    metrics = run(FOLDER)
    assert metrics["train_conversations"] > 3
    assert metrics["validation_conversations"] > 0


@pytest.mark.parametrize("sizes", [[2_000] * 3, [1_000], [100_000], [2_000] * 20, [40, 1_000], [100] * 4])
def test_a_few_files_are_divided_among_all_splits(
    raw: Path, sizes: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in raw.iterdir():
        path.unlink()
    for n, size in enumerate(sizes):
        (raw / f"{n}.txt").write_text(prose(n, size // 5)[:size])
    metrics = run(FOLDER)
    assert json.loads(Path("out/ingest.json").read_text())["made"]["divided"]
    assert "too few documents to be split whole" in capsys.readouterr().err
    for split in ("train", "validation", "test"):
        assert metrics[f"{split}_documents"] > 0
        assert metrics[f"{split}_conversations"] > 0


def test_folders_that_are_too_few_to_be_split_are_said(raw: Path) -> None:
    (raw / "project").mkdir()
    for n in range(40):
        (raw / "project" / f"{n}.txt").write_text(prose(n, 100))
    with pytest.raises(UserError, match=r"too few documents .* Or set ingest\.split_by: document"):
        run(FOLDER, split_by="repository")


def test_preference_pairs_are_written_beside_the_conversations_and_counted(raw: Path) -> None:
    pairs = [{"prompt": f"number {n}?", "chosen": f"It is {n}.", "rejected": "Guess."} for n in range(40)]
    (raw / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in [*pairs, *pairs]))
    (raw / "tool.py").write_text("".join(f"# line {n} of a file that is divided\n" for n in range(2000)))
    metrics = run(FOLDER)
    report = json.loads(Path("out/ingest.json").read_text())
    found = []
    for split in ("train", "validation", "test"):
        lines = Path(f"out/chat/{split}.preferences.jsonl").read_text().splitlines()
        assert len(lines) == metrics[f"{split}_preferences"] == report["chat"][split]["preferences"]
        found += [json.loads(line)["prompt"] for line in lines]
    wanted = [[{"role": "user", "content": pair["prompt"]}] for pair in pairs]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_chat_data_alone_is_said_to_be_no_text(raw: Path) -> None:
    for path in raw.iterdir():
        path.unlink()
    (raw / "pairs.jsonl").write_text('{"prompt": "q", "completion": "a"}\n')
    with pytest.raises(UserError, match="there is chat data and no text for the base model"):
        run(FOLDER)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sources": []}, "ingest: sources: "),
        (
            {"sources": [{"kind": "web"}]},
            r"sources\.0: .*'folder', 'file', 'fsspec', 'huggingface', 'python-library'",
        ),
        ({"sources": [{"kind": "folder"}]}, r"sources\.0\.folder\.path: missing"),
        (
            {"sources": [FOLDER | {"max_bytes": 5}]},
            r"max_bytes: unknown key .*: exclude, gitignore, include, kind, name, path",
        ),
        ({"sources": [LIBRARY | {"max_bytes": 1.5}]}, r"max_bytes: found 1\.5"),
        ({"sources": [FOLDER], "min_character": 5}, "did you mean 'min_characters'"),
        ({"sources": [FOLDER], "test_fraction": 0}, "test_fraction: found 0"),
        ({"sources": [FOLDER], "chat": {"max_pairs": -1}}, r"chat\.max_pairs: found -1"),
    ],
)
def test_a_bad_parameter_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        IngestConfig.parse(values, "params.yaml: ingest")


def test_the_command_reads_params_and_writes_all_three(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bhasa.stages.tracked", lambda stage, params: nullcontext(NullTracker()))
    app = Typer()
    app.command()(ingest.command)
    paths = {
        "params": "params.yaml",
        "hardware": str(CPU),
        "raw": "data/raw",
        "documents": "d",
        "chat": "c",
    }
    paths |= {"accounts": "a.parquet", "report": "r.json", "page": "p.html"}
    options = [part for name, path in paths.items() for part in (f"--{name}", path)]
    result = CliRunner().invoke(app, options, catch_exceptions=False)
    assert result.exit_code == 0
    assert [len(list(Path(folder).iterdir())) for folder in ("c", "d")] == [6, 3]
    assert json.loads(Path("r.json").read_text())["files"]["kept"] > 20
    assert "data/raw" not in Path("p.html").read_text()
