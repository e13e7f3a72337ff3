import re
from collections import Counter
from html.parser import HTMLParser

from bhasa.documents.look import Look, Sample
from bhasa.documents.page import render, safe
from bhasa.documents.records import Outcome

OUTCOMES = {outcome.value: 0 for outcome in Outcome}
EVIL = "<script>alert('x')</script>\"&'\u202etxt.exe\x00\x1b[31m\u200b</pre><img src=x onerror=alert(1)>"


def report(name: str = "raw") -> dict:
    counts = {"files": {"in": 3} | OUTCOMES | {"kept": 2, "skipped": 1}}
    sizes = {"bytes": {"in": 1300} | OUTCOMES | {"kept": 1200, "skipped": 100}}
    text = {"found": 1100} | OUTCOMES | {"kept": 1000, "filtered": 60, "removed by cleaning": 40}
    return {
        "version": 3,
        **counts,
        **sizes,
        "text": text,
        "documents": {split: {"documents": 1, "bytes": 500} for split in ("train", "validation", "test")},
        "chat": {split: {"conversations": 7} for split in ("train", "validation", "test")},
        "reasons": [{"outcome": "skipped", "reason": "empty", "files": 1, "bytes": 100}],
        "text_reasons": [{"outcome": "filtered", "reason": name, "texts": 1, "bytes": 60}],
        "cleaning": [{"step": name, "count": 4}],
        "domains": [{"domain": name, "kind": "folder", **counts, **sizes, "text": text}],
        "contamination": {
            when: {"test": {"documents": 1, "seen": share}}
            for when, share in (("before", 0.25), ("after", 0.0))
        },
    }


def look(name: str = "raw/a.txt") -> Look:
    return Look(
        lengths={"train": Counter({9: 3, 11: 1})},
        media_types=Counter({name: 3}),
        languages=Counter({name: 3, "en": 7}),
        encodings=Counter({name: 1}),
        kept=[Sample(name, (name,), 10, name)],
        dropped={("skipped", name): [Sample(name, (name,), 10)]},
        duplicated=[(name, 8)],
    )


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_figure_is_on_the_page() -> None:
    page = render(report(), look())
    for figure in (
        "1,300",
        "1,200",
        "92.3 %",
        "1,100",
        "60",
        "40",
        "empty",
        "25.00 %",
        "0.00 %",
        "raw/a.txt",
    ):
        assert figure in page
    assert page.count("<svg") == 3
    assert "<title>kept: 92.3 %</title>" in page


def test_the_page_is_whole_and_loads_nothing() -> None:
    page = render(report(), look())
    tags = Tags(page)
    assert tags.open == []
    assert not {"script", "img", "link", "iframe", "a", "object"} & set(tags.found)
    assert not {"src", "href", "onclick", "onerror", "style"} & tags.attributes
    assert "default-src 'none'" in page
    assert "url(" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_what_files_say_is_shown_and_not_done() -> None:
    clean, hostile = Tags(render(report(), look())), render(report(EVIL), look(EVIL))
    tags = Tags(hostile)
    assert tags.found == clean.found
    assert tags.attributes == clean.attributes
    assert tags.open == []
    assert "&lt;script&gt;alert(&#x27;x&#x27;)" in hostile
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u200b\u202e]", hostile)
    assert "\\u202etxt.exe\\u0000\\u001b[31m\\u200b" in hostile


def test_equal_corpora_give_equal_bytes() -> None:
    assert render(report(), look()) == render(report(), look())
    turned = look()
    turned.languages = Counter(dict(reversed(turned.languages.items())))
    assert render(report(), turned) == render(report(), look())


def test_the_page_stays_small() -> None:
    large = look("n" * 5000)
    large.languages = Counter({f"language {n}": n for n in range(5000)})
    large.dropped = {
        ("skipped", f"reason {n}"): [Sample("n" * 5000, ("d" * 5000,), 1)] * 3 for n in range(30)
    }
    page = render(report(), large)
    assert len(page) < 100_000
    assert "4,975 more" in page


def test_an_empty_corpus_has_a_page() -> None:
    assert Tags(render(report(), Look())).open == []


def test_a_cut_name_says_so() -> None:
    assert safe("abc", 2) == "<bdi>ab ...</bdi>"
