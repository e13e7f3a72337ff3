import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bhasa.documents.readers.notebook import MAX_OUTPUT, read
from bhasa.documents.records import Refused, Text


def notebook(*cells: Any, metadata: Any = None) -> bytes:
    return json.dumps({"cells": cells, "metadata": metadata or {}, "nbformat": 4}).encode()


def code(source: Any, *outputs: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": outputs}


def one(content: bytes) -> Text:
    (found,) = read(content, "a.ipynb")
    return found


def test_cells_come_in_order_as_markdown() -> None:
    found = one(
        notebook(
            {"cell_type": "markdown", "source": ["# Head\n", "text"]},
            code("print(1)", {"output_type": "stream", "text": ["1\n", "2\n"]}),
            {"cell_type": "raw", "source": "as it is"},
            code(""),
            metadata={"language_info": {"name": "R"}},
        )
    )
    assert found.text == "# Head\ntext\n\n```r\nprint(1)\n```\n\n```\n1\n2\n```\n\nas it is"
    assert (found.meta, found.language) == ({"cells": 4}, "r")


def test_outputs_are_text_or_left_out() -> None:
    outputs = [
        {"output_type": "execute_result", "data": {"text/plain": "[1]", "text/html": "<p>no"}},
        {"output_type": "display_data", "data": {"image/png": "aWJt"}},
        {"output_type": "error", "ename": "KeyError", "evalue": "\x1b[31mx\x1b[0m", "traceback": ["no"]},
        {"output_type": "stream", "text": "y" * (MAX_OUTPUT + 1)},
        {"output_type": "execute_result", "data": [1]},
        "no output",
    ]
    found = one(notebook(code("f()", *outputs)))
    assert found.text == "```python\nf()\n```\n\n```\n[1]\n```\n\n```\nKeyError: x\n```"
    assert found.meta == {"cells": 1, "outputs_left_out": 3}


def test_a_fence_is_longer_than_those_inside() -> None:
    assert one(notebook(code("'''\n````\n'''"))).text == "`````python\n'''\n````\n'''\n`````"


def test_embedded_images_are_left_out() -> None:
    image = "![x](data:image/png;base64," + "QUJD" * 100 + ")"
    assert one(notebook({"cell_type": "markdown", "source": f"a {image} b"})).text == "a ![x]() b"


def test_format_3_has_worksheets_and_headings() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Head"},
        {"cell_type": "code", "input": "x", "outputs": [{"output_type": "pyout", "text": "1"}]},
    ]
    found = one(json.dumps({"worksheets": [{"cells": cells}]}).encode())
    assert found.text == "## Head\n\n```python\nx\n```\n\n```\n1\n```"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "notebook that is not JSON"),
        (b"[" * 100_000, "notebook that is not JSON"),
        (b"[]", "JSON that is no notebook"),
        (b'{"cells": 5}', "JSON that is no notebook"),
        (b'{"worksheets": [5, {"cells": null}]}', "JSON that is no notebook"),
        (notebook({}, {"source": 5}, code([5]), 5), "notebook without text"),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        one(content)


KEYS = ["cell_type", "source", "input", "outputs", "output_type", "data", "text", "text/plain", "level"]
VALUES = st.sampled_from(["code", "markdown", "heading", "stream", "error", "x", "", None, 3, True])
ANYTHING = st.recursive(
    VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner), max_leaves=10
)


@settings(max_examples=50)
@given(st.lists(ANYTHING, max_size=8), ANYTHING)
def test_any_cells_are_read_or_refused(cells: list[Any], metadata: Any) -> None:
    with suppress(Refused):
        assert one(notebook(*cells, metadata={"language_info": metadata})).text
