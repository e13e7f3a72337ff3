import subprocess
import sys

import pytest

from bhasa.documents.config import IngestConfig
from bhasa.documents.prepare import prepare
from bhasa.documents.prose import LANGUAGES, language_of, looks_like_code
from bhasa.documents.records import Refused, Text
from bhasa.errors import UserError
from tests.documents.test_prepare import File, config

FILE = File()
ENGLISH = "The river carries the old boats to the sea, and nobody knows how long they have been there. " * 6
GERMAN = (
    "Der Fluss tr\u00e4gt die alten Boote zum Meer, und niemand wei\u00df, wie lange sie schon dort liegen. "
    * 6
)
CODE = "import os\n\n\ndef double(x):\n    y = x + x\n    return os.fspath(y)\n\n\nprint(double(2))\n" * 3
PROSE_LIKE = "A list of things:\n- bread (two loaves)\n- the milk; fresh\nThat is all, thank you.\n" * 5


def outcome(text: str, file: File = FILE, **values: object) -> str:
    found = prepare(Text(text), file, "raw", config(**values))
    return f"{found.outcome.value}: {found.reason}" if isinstance(found, Refused) else found.document.language


def test_a_language_is_told_where_asked() -> None:
    assert (language_of(ENGLISH), language_of(GERMAN)) == ("en", "de")
    assert outcome(GERMAN) == "und"
    assert outcome(GERMAN, languages=["de", "fr"]) == "de"
    assert outcome(GERMAN, languages=["en"]) == "filtered: not in one of the languages"


def test_source_code_is_never_judged() -> None:
    asked = {"languages": ["fr"], "quality": ["gopher-quality", "gopher-repetition", "c4", "fineweb"]}
    assert outcome(CODE, File(language="python"), **asked) == "python"
    assert outcome(CODE, **asked) == "und"
    assert outcome(ENGLISH, **asked) == "filtered: not in one of the languages"


def test_rules_are_those_that_were_asked_for() -> None:
    assert outcome(ENGLISH) == "und"
    assert outcome(ENGLISH, quality=["gopher-repetition"]).startswith("filtered: gopher: ")
    assert outcome(
        "Too short to be a text for C4, which wants five sentences, yet as long as a document must be.",
        quality=["c4"],
    ) == ("filtered: c4: too few sentences")


@pytest.mark.parametrize(
    ("text", "expected"), [(CODE, True), (ENGLISH, False), (PROSE_LIKE, False), ("", False)]
)
def test_code_is_told_from_prose(text: str, expected: bool) -> None:
    assert looks_like_code(text) is expected


def test_masks_are_of_the_document_alone() -> None:
    found = prepare(Text(f"{ENGLISH} Write to me@here.org"), File(), "raw", config(mask=["emails"]))
    assert not isinstance(found, Refused)
    assert found.document.text.endswith("Write to user1@example.com\n")
    assert found.document.meta == '{"masked": {"emails": 1}}'
    assert found.counts["masks"] == len("me@here.org") - len("user1@example.com")


def test_a_code_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        UserError, match=r"languages: .*'english' is no code of a language; allowed are ace af"
    ):
        IngestConfig.parse(
            {"sources": [{"kind": "folder", "path": "raw"}], "languages": ["english"]}, "ingest"
        )


def test_the_codes_are_those_of_the_model() -> None:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    assert {*LANGUAGES.split()} == {*LanguageIdentifier.from_model_file(MODEL_FILE).labels} - {"zxx"}


def test_a_language_is_told_where_no_file_can_be_opened() -> None:
    program = (
        "from bhasa.documents.prose import judge, load\n"
        "from bhasa.documents.sandbox import Sandbox\n"
        "from tests.documents.test_prepare import config\n"
        "asked = config(languages=['de'], quality=['gopher-quality'])\n"
        "load(asked)\n"
        "Sandbox()\n"
        "print(judge('Das ist ein langer Satz und dann noch einer. ' * 20, asked))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout == "('de', None)\n"
