"""The library is used in notebooks and servers too: its errors do not speak of the pipeline."""

import ast
import re
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src/bhasa"
PIPELINE = re.compile(r"\bdvc\b|params\.yaml|make (?:repro|reset)|hardware\.profile|model\.size")
KNOW_IT = ("stages/", "tools/", "tracking/", "cli.py", "failures.py", "experiment.py")
FILES = {str(path.relative_to(SRC)): path for path in sorted(SRC.rglob("*.py"))}


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(KNOW_IT)])
def test_errors_of_the_library_do_not_speak_of_the_pipeline(name):
    raised = [node for node in ast.walk(ast.parse(FILES[name].read_text())) if isinstance(node, ast.Raise)]
    texts = [ast.unparse(node) for node in raised]
    assert not [text for text in texts if PIPELINE.search(text)]
