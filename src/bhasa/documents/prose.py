"""What is done to prose alone: which natural language it is in, and whether it is good enough.

A text is prose when it is in no known programming language and does not look like code either.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from bhasa.documents.filters import FILTERS
from bhasa.documents.records import Refused, filtered

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

    from bhasa.documents.config import IngestConfig

LANGUAGES = (
    "ace af am an ar ary arz as az ba bcl be bg bn br bs ca crh cs cy da de dz el en eo es et eu ext "
    "fa fi fo fr fuv fy ga gcf gcr gd gl gom grc gu gug guw ha hbo he hi hr ht hu hy id ig is it ja "
    "jv ka kab kik kk km kn ko ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr ms mt my ne nl nn "
    "no nso oc om or pa pcm pl ps pt qu ro ru rw sa sdh se si sk sl sn so sq sr st sv sw ta te tg th "
    "tk tl tr tt ug uk ur uz uzs vec vi vo wa wuu xh yo yue zh zu"
)
"""The ISO 639 codes of what py3langid knows."""
NEEDS_LANGUAGE = "gopher-quality"  # whose list of stop words is English
SAMPLE_CHARACTERS = 2_000  # from the beginning and from the middle, which the language is told by
CODE_LINE = re.compile(
    r"^\s*(?:.*[;{}]|[\w.]+\(.*\)|[\w.\[\]]+ [-+*]?= .+|</?\w+[^>]*>.*"
    r"|(?:import|from|def|class|return|if|for|while|function|const|var|let|public|private|static"
    r"|#include|#define|using|package)\b.*[:;(){}=<>].*)\s*$"
)
MOST_CODE = 0.4  # of the lines
CODE_LINES = 400  # that are looked at


def looks_like_code(text: str) -> bool:
    lines = [line for line in text[:100_000].split("\n")[:CODE_LINES] if line.strip()]
    return sum(CODE_LINE.match(line[:200]) is not None for line in lines) > MOST_CODE * len(lines)


def load(config: IngestConfig) -> None:
    """Read now what `judge` will need: later, in a sandbox, no file can be opened."""
    if _asks_for_language(config):
        _identifier()


def judge(text: str, config: IngestConfig) -> tuple[str, Refused | None]:
    """The language of a prose text, `und` where nobody asked, and why it is left out, or None."""
    language = language_of(text) if _asks_for_language(config) else "und"
    if config.languages is not None and language not in config.languages:
        return language, filtered("not in one of the languages")
    for rules in config.quality:
        if reason := FILTERS[rules](text, language):
            return language, filtered(reason)
    return language if config.languages is not None else "und", None


def language_of(text: str) -> str:
    """ISO 639-1 code of the likeliest language; a pure function of the text's beginning and middle."""
    middle = len(text) // 2
    sample = text[:SAMPLE_CHARACTERS]
    if len(text) > 2 * SAMPLE_CHARACTERS:
        sample += "\n" + text[middle : middle + SAMPLE_CHARACTERS]
    return str(_identifier().classify(sample)[0])


def _asks_for_language(config: IngestConfig) -> bool:
    return config.languages is not None or NEEDS_LANGUAGE in config.quality


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
