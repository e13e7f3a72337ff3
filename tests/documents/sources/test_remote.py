import functools
import http.server
import re
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from bhasa.documents.records import Refused
from bhasa.documents.source_configs import FsspecConfig
from bhasa.documents.sources import remote
from bhasa.documents.sources.files import FileSource
from bhasa.documents.sources.remote import masked, open_remote
from bhasa.errors import BhasaError, UserError


def source(
    address: str, listing: str | None = None, limit: int = 1000, name: str | None = "far"
) -> FileSource:
    config = FsspecConfig(kind="fsspec", address=address, listing_sha256=listing, name=name)
    return open_remote(config, max_file_bytes=limit)


def fixed(address: str, limit: int = 1000) -> FileSource:
    """The source with the hash that the refusal prints."""
    with pytest.raises(UserError, match="could change without a re-run") as caught:
        source(address)
    listing = re.search("`listing_sha256: ([0-9a-f]{64})`", str(caught.value))
    assert listing
    return source(address, listing[1], limit)


def contents(opened: FileSource) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for file in opened.files:
        try:
            found[file.name] = file.content()
        except Refused as refused:
            found[file.name] = str(refused)
    return found


@pytest.fixture
def bucket() -> Iterator[str]:
    memory = fsspec.filesystem("memory")
    for name, content in {
        "b.txt": b"bb",
        "deep/a.txt": b"a",
        "empty.txt": b"",
        "large.txt": b"x" * 20,
    }.items():
        memory.pipe(f"/bucket/{name}", content)
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


class Server(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; the next requests for what ends in `failing` fail."""

    failures: list[str] = []  # noqa: RUF012
    failing = ".txt"

    def do_GET(self) -> None:
        failure = self.failures.pop(0) if self.failures and self.path.endswith(self.failing) else ""
        if failure == "cut":
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"b")
            self.close_connection = True
        elif failure:
            self.send_error(int(failure))
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.001)
    Server.failures, Server.failing = [], ".txt"
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("bb")
    (tmp_path / "deep" / "a.txt").write_text("a")
    handler = functools.partial(Server, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_files_of_a_bucket_are_listed_in_order_under_the_sources_name(bucket: str) -> None:
    assert contents(fixed(bucket, limit=10)) == {
        "far/b.txt": b"bb",
        "far/deep/a.txt": b"a",
        "far/empty.txt": "empty",
        "far/large.txt": "larger than max_file_bytes",
    }
    assert fixed(bucket).size == 23
    assert [file.name for file in fixed(f"{bucket}/deep/a.txt").files] == ["far/a.txt"]


def test_files_of_a_web_server_and_of_an_archive(web: str, tmp_path: Path) -> None:
    assert contents(fixed(web)) == {"far/b.txt": b"bb", "far/deep/a.txt": b"a"}
    assert contents(fixed(f"{web}/deep/a.txt")) == {"far/a.txt": b"a"}
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("deep/c.txt", "cc")
    assert contents(fixed(f"zip://::file://{tmp_path}/x.zip")) == {"far/deep/c.txt": b"cc"}


def test_a_place_that_changes_is_refused_with_both_hashes(bucket: str) -> None:
    with pytest.raises(
        UserError, match=r"4 files \(23 bytes\) that are there now, give it `listing_sha256: "
    ) as one:
        source(bucket)
    before = str(one.value)[-65:-1]
    fsspec.filesystem("memory").pipe("/bucket/b.txt", b"cc")
    with pytest.raises(UserError, match=f"has changed, its listing_sha256 was {before}.*give it") as other:
        source(bucket, before)
    after = str(other.value)[-65:-1]
    assert after != before
    assert len(source(bucket, after).files) == 4


def test_a_network_that_fails_now_and_then_is_asked_again(web: str) -> None:
    opened = fixed(web)
    Server.failures = ["500", "cut", "503"]
    assert contents(opened)["far/b.txt"] == b"bb"
    assert Server.failures == []


@pytest.mark.parametrize("failure", ["500", "cut"])
def test_a_network_that_fails_for_good_stops_with_one_message(failure: str, web: str) -> None:
    opened = fixed(web)
    Server.failures = [failure] * 100
    with pytest.raises(BhasaError, match=r"b\.txt: .*, 4 times; run again when it can be reached") as caught:
        opened.files[0].content()
    assert caught.value.exit_code == 1
    assert len(Server.failures) < 100


def test_a_folder_that_cannot_be_listed_is_not_left_out(web: str) -> None:
    Server.failures, Server.failing = ["500"] * 2, "/deep/"
    assert len(fixed(web).files) == 2
    Server.failures = ["500"] * 100
    with pytest.raises(BhasaError, match=r"500.*, 4 times"):
        source(web)


def test_a_file_that_is_not_as_it_was_listed_stops(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.001)
    opened = fixed(bucket)
    fsspec.filesystem("memory").pipe("/bucket/b.txt", b"longer")
    with pytest.raises(BhasaError, match="6 of 2 bytes came"):
        opened.files[0].content()


def test_a_file_that_is_gone_is_said_at_once(web: str, tmp_path: Path) -> None:
    opened = fixed(web)
    (tmp_path / "b.txt").unlink()
    with pytest.raises(UserError, match=r"b\.txt: FileNotFoundError"):
        opened.files[0].content()


def test_what_nobody_can_open_is_one_message(web: str) -> None:
    with pytest.raises(UserError, match="Protocol not known: nope"):
        source("nope://a")
    with pytest.raises(UserError, match="s3://a: Install s3fs to access S3, by `pip install`"):
        source("s3://a")
    for nothing in (f"{web}/nowhere/", "memory://nowhere"):
        with pytest.raises(UserError, match="mend the address"):
            source(nothing)
    with pytest.raises(BhasaError, match="run again when it can be reached"):
        source("http://127.0.0.1:9/")


@pytest.mark.parametrize(
    "address",
    [
        "https://user:hunter2@host/folder/",
        "https://host/a.txt?X-Amz-Signature=hunter2",
        "https://host/a.txt?page=1&access_token=hunter2",
        "zip://::ftp://me:hunter2@host/a.zip",
    ],
)
def test_a_password_is_refused_and_shown_nowhere(address: str) -> None:
    with pytest.raises(UserError, match=r"holds a password, which would be kept with every run") as caught:
        source(address, name=None)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in FsspecConfig(kind="fsspec", address=address).domain


def test_what_others_say_is_masked() -> None:
    said = "403 for url 'https://a:b@host/x?sig=secret' (https://host/y?token=secret)"
    assert masked(said) == "403 for url 'https://...@host/x?...' (https://host/y?...)"


def test_the_name_is_the_last_part_of_the_address() -> None:
    addresses = ["s3://a/books", "https://host/books/?page=2", "zip://::s3://a/books.zip", "memory://books"]
    domains = [FsspecConfig(kind="fsspec", address=address).domain for address in addresses]
    assert domains == ["books", "books", "fsspec", "books"]
