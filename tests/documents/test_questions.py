import ast

import pytest

from bhasa.dataset import Document
from bhasa.documents.questions import ask, module_name

CODE = '''
"""A module."""

def mean(values, /, *, weights=None):
    """Return the mean of
    all the values.

    Details that do not matter.
    """

class Store(dict):
    """A dictionary that remembers the order of reading."""

    def __init__(self, limit: int = 10):
        self.limit = limit

    def forget(self, key, default=None):
        """Remove `key` and whatever was stored under it."""

    @property
    def size(self):
        """The number of bytes that all values take."""

    @size.setter
    def size(self, value):
        """Not asked about: the property is."""

    @classmethod
    def load(cls, path):
        """Read a store from the file at `path`."""

    def _private(self):
        """Nobody should ask about this method here."""

async def pause():
    """Wait until somebody calls `resume` again."""

def example():
    """>>> example() == 1 and nothing else here"""

def undocumented(x): ...

def _private():
    """Nobody should ask about this function here."""
'''


def document(text: str, source: str = "raw/tools/store.py", language: str = "python") -> Document:
    return Document("0" * 64, "0" * 64, "raw", source, "text/x-python", language, text, len(text), "{}")


def pairs(text: str, **settings: str) -> dict[str, str]:
    asked = ask(document(text, **settings), max_answer_characters=200)
    assert all([role for role, _ in pair.messages] == ["user", "assistant"] for pair in asked)
    return {pair.messages[0][1]: pair.messages[1][1] for pair in asked}


def answers_about(name: str) -> set[str]:
    return {
        answer
        for question, answer in pairs(CODE).items()
        if f"`tools.store.{name}`" in question.replace("(", "`")
    }


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("mean", {"Return the mean of all the values.", "`tools.store.mean(values, /, *, weights=None)`"}),
        (
            "Store",
            {"A dictionary that remembers the order of reading.", "`tools.store.Store(limit: int=10)`"},
        ),
        (
            "Store.forget",
            {
                "Remove `key` and whatever was stored under it.",
                "`tools.store.Store.forget(key, default=None)`",
            },
        ),
        ("Store.size", {"The number of bytes that all values take."}),
        ("Store.load", {"Read a store from the file at `path`.", "`tools.store.Store.load(path)`"}),
        ("pause", {"Wait until somebody calls `resume` again."}),
        ("example", set()),
        ("undocumented", set()),
        ("Store._private", set()),
        ("_private", set()),
    ],
)
def test_answers_are_the_docstring_and_the_signature(name: str, answers: set[str]) -> None:
    assert answers_about(name) == answers


def test_answers_outside_the_limits_are_left_out() -> None:
    assert pairs('def f():\n    """Short."""') == {}
    assert pairs(f'def f():\n    """{"long " * 41}"""') == {}


def test_phrasings_vary_and_a_pair_does_not_depend_on_the_others() -> None:
    functions = [f'def f{n}(x):\n    """Return the number {n} in a roundabout way."""\n' for n in range(30)]
    together = pairs("".join(functions))
    assert len({question.replace("tools.store", "").split("`")[0] for question in together}) > 4
    assert pairs(functions[7]).items() <= together.items()


@pytest.mark.parametrize(
    "text",
    ["def f(:", "\0", "(" * 1000, "x" + ".y" * 100_000, "-" * 1_000_000 + "1", "print 'python 2'"],
    ids=range(6),
)
def test_what_does_not_parse_gives_nothing(text: str) -> None:
    assert pairs(text) == {}


def test_odd_escapes_raise_no_warning() -> None:
    text = 'def f(x="\\d"):\n    """Return whatever was handed in, escaped."""'
    with pytest.raises(SyntaxError):  # pytest turns the compiler's warning into an error
        ast.parse(text)
    assert pairs(text)


def test_only_python_is_asked_about() -> None:
    assert pairs(CODE, language="c") == {}


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("python-library/json/decoder.py", "json.decoder"),
        ("python-library/json/__init__.py", "json"),
        ("raw/tool.py", "tool"),
        ("raw/_private.py", None),
        ("raw/a/_b/c.py", None),
        ("raw/my-script.py", None),
        ("raw/__init__.py", None),
    ],
)
def test_module_names(source: str, module: str | None) -> None:
    assert module_name(source) == module
    if module is None:
        assert pairs(CODE, source=source) == {}


def test_a_very_long_document_is_not_parsed() -> None:
    assert pairs(CODE)
    assert pairs(CODE + "#" * (1 << 20)) == {}
