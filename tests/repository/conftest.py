"""Real pipelines in real repositories: copies of this one's tracked files, made small by their params."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]

SMALL = {
    "model.size": "debug",
    "training.preset": "fast",
    "ingest.sources.1.max_bytes": 700_000,
    "ingest.validation_fraction": 0.15,
    "ingest.test_fraction": 0.15,
    "ingest.chat.max_pairs": 400,
    "tokenize.tokenizer.vocab_size": 512,
    "pretrain.max_steps": 6,
    "finetune.max_steps": 4,
    "evaluate.max_bytes": 20_000,
    "evaluate.sampling.max_new_tokens": 12,
    "export.documents": 3,
    "export.tokens": 48,
    "speed.new_tokens": 4,
}


@dataclass(frozen=True)
class Workspace:
    """A repository of its own, with its own sources first on the path."""

    path: Path

    def run(self, *command: str, ok: bool = True) -> str:
        """Run a command in it; returns what it printed."""
        scripts = Path(sys.executable).parent
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))
        }
        environment = inherited | {
            "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.path / "src"),
            "DVC_NO_ANALYTICS": "1",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
        }  # fmt: skip
        done = subprocess.run(
            command, cwd=self.path, env=environment, capture_output=True, text=True, check=False
        )
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self) -> str:
        return self.run("dvc", "repro")

    def set_params(self, values: dict[str, Any]) -> None:
        """Change values in params.yaml by their dotted keys."""
        yaml = YAML()
        path = self.path / "params.yaml"
        params = yaml.load(path.read_text())
        for key, value in values.items():
            *parents, last = key.split(".")
            place = params
            for part in parents:
                place = place[int(part) if part.isdigit() else part]
            place[last] = value
        with path.open("w") as stream:
            yaml.dump(params, stream)

    def text(self, name: str) -> str:
        return (self.path / name).read_text()


@pytest.fixture(scope="session")
def new_workspace(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Workspace]:
    """Makes a clean copy of this repository's tracked files, committed, with nothing cached."""

    def make() -> Workspace:
        workspace = Workspace(tmp_path_factory.mktemp("workspace"))
        listing = subprocess.run(
            ["git", "ls-files", "-zco", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
        for name in filter(None, listing.stdout.split("\0")):
            if (ROOT / name).is_file():
                target = workspace.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, target)
        (workspace.path / "dvc.lock").unlink(missing_ok=True)
        workspace.set_params(SMALL)
        for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "start")):
            workspace.run("git", *command)
        return workspace

    return make


@pytest.fixture(scope="session")
def finished(new_workspace: Callable[[], Workspace]) -> Workspace:
    """A workspace whose pipeline has run once and is committed; tests leave it as they found it."""
    workspace = new_workspace()
    workspace.repro()
    workspace.run("git", "add", "-A")
    workspace.run("git", "commit", "-qm", "first run")
    return workspace
