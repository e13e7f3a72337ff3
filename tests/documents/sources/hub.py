"""A hub on this machine: enough of the Hugging Face hub to read a data set from, and how it fails."""

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789" * 4
ROWS = b'{"text": "one"}\n{"text": "two"}\n'
LEADS_AWAY = b"---\nconfigs:\n- config_name: default\n  data_files: http://127.0.0.1:9/train.jsonl\n---\n"
CARD = b"---\n{}\n---\n"

DATA_SETS = {
    "a/good": {"README.md": CARD, "data/train.jsonl": ROWS},
    "a/script": {"README.md": CARD, "data/train.jsonl": ROWS, "script.py": b"raise SystemExit"},
    "a/away": {"README.md": LEADS_AWAY},
    "a/cut": {"README.md": CARD, "data/train.jsonl": ROWS},
    "a/down": {"README.md": CARD, "data/train.jsonl": ROWS},
}


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        match parts:
            case ["datasets", owner, name, "resolve", revision, *path]:
                self._file(f"{owner}/{name}", revision, "/".join(path))
            case ["api", "datasets", owner, name, "revision", revision]:
                self._json({"id": f"{owner}/{name}", "sha": revision, "siblings": []})
            case ["api", "datasets", owner, name, "tree", _, *path]:
                self._tree(f"{owner}/{name}", "".join(f"{part}/" for part in path))
            case _:
                self._answer(404)

    do_HEAD = do_GET  # noqa: N815

    def _file(self, name: str, revision: str, path: str) -> None:
        content = DATA_SETS.get(name, {}).get(path)
        if name not in DATA_SETS:
            self._answer(404, code="RepoNotFound")
        elif revision != COMMIT:
            self._answer(404, code="RevisionNotFound")
        elif content is None:
            self._answer(404, code="EntryNotFound")
        elif name == "a/down" and path.endswith(".jsonl"):
            self._answer(503)
        else:
            self._answer(200, content, cut=name == "a/cut" and path.endswith(".jsonl"))

    def _tree(self, name: str, folder: str) -> None:
        entries = {}
        for path, content in DATA_SETS.get(name, {}).items():
            if path.startswith(folder):
                first, slash, _ = path.removeprefix(folder).partition("/")
                entry = {"path": folder + first, "oid": digest(content), "size": len(content)}
                entries[first] = entry | {"type": "directory" if slash else "file"}
        if entries:
            self._json(list(entries.values()))
        else:
            self._answer(404, code="EntryNotFound")

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode())

    def _answer(self, status: int, content: bytes = b"", *, code: str = "", cut: bool = False) -> None:
        self.send_response(status)
        headers = {"Content-Length": str(len(content)), "X-Repo-Commit": COMMIT, "X-Error-Code": code}
        for name, value in (headers | {"ETag": f'"{digest(content)}"'}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = cut

    def log_message(self, *_: object) -> None:
        pass


def digest(content: bytes) -> str:
    """As Git names a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serving() -> Iterator[str]:
    """The address of a hub that answers until the block ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
