"""A real Ray cluster of two machines, each of one worker, gives the bytes that processes here give."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bhasa.documents.config import IngestConfig
from bhasa.errors import BhasaError
from bhasa.stages import ingest, tokenize
from bhasa.tokens.config import TokenizeConfig
from bhasa.tracking import NullTracker

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray's own


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of two nodes with one core each."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    node = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    cluster.add_node(**node)
    yield cluster.address
    cluster.shutdown()


def corpus_in(folder: Path) -> IngestConfig:
    """Some hundred files in several batches: texts, conversations, equal ones, broken ones."""
    folder.mkdir()
    for n in range(120):
        (folder / f"{n}.txt").write_text(
            f"text number {n % 100} of a larger corpus, with its own words {n % 100}\n" * 400
        )
    for n in range(40):
        talk = f'{{"prompt": "What is {n}?", "completion": "A number."}}\n'
        (folder / f"{n}.jsonl").write_text(talk + "{broken\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing follows")
    (folder / "link").symlink_to("0.txt")
    source = {"kind": "folder", "path": str(folder)}
    return IngestConfig.parse({"sources": [source], "near_duplicates": None}, "test")


def written_by(executor: str, config: IngestConfig, folder: Path) -> dict[str, str]:
    """The hash of every file that ingest and tokenize write."""
    folder.mkdir()
    paths = {name: folder / name for name in ("documents", "chat", "accounts", "report", "page")}
    raw = [Path(source.path) for source in config.sources if hasattr(source, "path")]
    ingest.run(config, executor=executor, workers=2, raw=raw, tracker=NullTracker(), **paths)
    made = {name: folder / name for name in ("tokenizer", "tokens")}
    texts = {name: paths[name] for name in ("documents", "chat")}
    report = folder / "tokenize.json"
    tokenize.run(
        TokenizeConfig(), executor=executor, workers=2, report=report, tracker=NullTracker(), **texts, **made
    )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_cluster_writes_the_same_bytes(
    cluster: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = corpus_in(workspace / "raw")
    here = written_by("processes", config, workspace / "here")
    monkeypatch.setenv("RAY_ADDRESS", cluster)
    assert written_by("ray", config, workspace / "there") == here
    assert len(here) > 12


def test_no_cluster_is_one_message(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(BhasaError, match="no cluster"):
        written_by("ray", corpus_in(workspace / "raw"), workspace / "there")
