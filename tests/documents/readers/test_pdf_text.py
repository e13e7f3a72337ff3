"""Repairs of text that comes from pages, and pages that are not text."""

import pytest

from bhasa.documents.readers.pdf_text import fault_of, running_text

PROSE = "The state of a recurrent model is small, and what it keeps of a long text is what matters. " * 3


@pytest.mark.parametrize(
    ("pages", "text"),
    [
        (["an exam\x02ple of it"], "an example of it"),
        (["an exam-\nple of it"], "an example of it"),
        (["an exam\u2010\r\n  ple of it"], "an example of it"),
        (["an exam-", "ple of it"], "an example of it"),
        (["well-known things are well-\nknown"], "well-known things are well-known"),
        (["wellknown; well-\nknown"], "wellknown; wellknown"),
        (["the source of a level: source\x02level"], "the source of a level: source-level"),
        (["the Mac\x02OS of Jean-\nPaul on day\x02166"], "the Mac-OS of Jean-Paul on day-166"),
        (["pre-\nand postwar"], "pre- and postwar"),
        (["a\x02long\x02er word"], "alonger word"),
        (["a dash -\nand more"], "a dash -\nand more"),
        (["- one\n- two"], "- one\n- two"),
    ],
)
def test_words_divided_at_the_end_of_a_line_are_whole(pages: list[str], text: str) -> None:
    assert running_text(pages)[0] == text


def test_no_text_takes_long() -> None:
    letters = "a" * 300_000
    assert running_text(["a\x02b " + letters + " " + "-" * 100_000])[1] == {"hyphens": 1}
    assert fault_of("\x02" * 100_000 + letters + "(cid:" * 10_000 + "/" * 100_000)


def test_ligatures_are_letters() -> None:
    assert running_text(["o\ufb03ce \ufb01le"]) == ("office file", {"ligatures": 2})


def book(count: int, head: str, foot: str) -> list[str]:
    body = "Page {} begins.\nIt ends so {}."
    return [
        f"{head.format(n, chapter=n // 10)}\n\n{body.format(n * 7, n * n)}\n{foot.format(n + 3)}"
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("head", "foot", "left"),
    [
        ("A History of Salt", "{}", 1),
        ("{} A History of Salt", "A. Author", 1),
        ("CHAPTER {chapter}", "- {} -", 4),
        ("A History of Salt", "4TH PASS\npage {} of 40\nxi", 5),
    ],
)
def test_running_heads_and_page_numbers_go_but_for_the_first(head: str, foot: str, left: int) -> None:
    text, counts = running_text(book(40, head, foot))
    lines = text.split("\n")
    bodies = [line for line in lines if line.startswith(("Page", "It ends"))]
    assert len(bodies) == 80
    assert len([line for line in lines if line]) - 80 == left
    assert counts["running heads"] == 40 * (1 + len(foot.split("\n"))) - left


def test_what_only_looks_like_a_page_number_stays() -> None:
    tables = [f"{n * 37 % 100} {n * 3}\n{n * n} 17\n{n * 91 % 100}" for n in range(40)]
    assert running_text(tables)[0] == "\n\n".join(tables)


def test_a_page_is_never_emptied() -> None:
    assert running_text(["Page 1", "Page 2", "Page 3"])[0] == "Page 1\n\nPage 2\n\nPage 3"
    assert running_text(["the same"] * 5)[0] == "\n\n".join(["the same"] * 5).replace("\n\nthe", "\nthe")


def test_prose_of_a_word_a_line_becomes_lines_and_a_list_of_words_stays() -> None:
    text, counts = running_text([PROSE.replace(" ", "\n")])
    assert text == PROSE.strip()
    assert counts == {"pages of a word a line": 1}
    words = "\n".join(sorted(set(PROSE.replace(",", "").replace(".", "").split())) * 3)
    assert running_text([words]) == (words, {})


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        (PROSE, ""),
        ("Éte\u0301 où naïve façade, déjà vu à la crème brûlée. " * 5, ""),
        ("Þetta er íslenskur texti með öllum þeim stöfum sem þarf að hafa. " * 5, ""),
        ("\uf0b7 a bullet of a symbol font, then a line of text\n" * 10, ""),
        ("see /usr/lib64 and /dev/sda1 for it\n" * 10, ""),
        ("/g3/g15/g21/g4 " * 20, "PDF page of glyph names"),
        ("/G15 /G21 " * 20, "PDF page of glyph names"),
        ("(cid:12)(cid:103) " * 20, "PDF page of glyph names"),
        ("\ufffd\ufffd a " * 20, "PDF page of replacement characters"),
        ("\ue001\ue002\uf0ff " * 20, "PDF page of private-use characters"),
        ("7KLV\x03LV\x03QR\x03WH[W\x11 " * 20, "PDF page of control characters"),
        ("今天天气很好我们去公园散步".encode("gbk").decode("latin-1") * 5, "PDF page in a wrong encoding"),
        ("Сегодня хорошая погода".encode("cp1251").decode("latin-1") * 5, "PDF page in a wrong encoding"),
        ("\ufffd short", ""),
    ],
)
def test_a_page_that_is_no_text_is_known(page: str, fault: str) -> None:
    assert fault_of(page) == fault
