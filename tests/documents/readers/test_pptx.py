import pytest

from bhasa.documents.readers.pptx import read
from bhasa.documents.records import Outcome, Refused, Text
from tests.documents.readers.office_files import OFFICE, docx, pptx, shape


def text_of(slides: list[str], notes: dict[int, str] | None = None, *, order: list[int] | None = None) -> str:
    (found,) = read(pptx(slides, notes, order=order), "a.pptx")
    assert isinstance(found, Text)
    return found.text


def test_slides_come_as_they_are_shown_each_with_its_notes() -> None:
    slides = [shape("first", placeholder="title") + shape("a", "b"), shape("second")]
    notes = {1: shape("said", placeholder="body") + shape("1", placeholder="sldNum")}
    assert text_of(slides, notes, order=[1, 0]) == "second\n\nsaid\n\nfirst\n\na\nb"


def test_title_date_and_number_of_slides_are_in_meta() -> None:
    (found,) = read(pptx([shape("x"), shape("y")]), "a.pptx")
    assert isinstance(found, Text)
    assert found.meta == {"title": "A title", "date": "1999-12-31T00:00:00Z", "slides": 2}


def test_groups_tables_and_boxes_come_once_and_furniture_does_not() -> None:
    cells = "".join(f"<a:tc><p:txBody><a:p><a:t>{c}</a:t></a:p></p:txBody></a:tc>" for c in "xy")
    table = f"<p:graphicFrame><a:tbl><a:tr>{cells}</a:tr></a:tbl></p:graphicFrame>"
    both = (
        "<mc:AlternateContent><mc:Choice>{0}</mc:Choice><mc:Fallback>{0}</mc:Fallback></mc:AlternateContent>"
    )
    slide = f"<p:grpSp>{shape('in group')}</p:grpSp>{table}{both.format(shape('once'))}"
    slide += shape("7", placeholder="sldNum") + shape("foot", placeholder="ftr")
    assert text_of([slide]) == "in group\n\nx\ty\n\nonce"


def test_paragraphs_with_numbers_and_bullets() -> None:
    def numbered(text: str, level: int = 0, kind: str = "arabicPeriod", start: int = 1) -> str:
        number = f'<a:pPr lvl="{level}"><a:buAutoNum type="{kind}" startAt="{start}"/></a:pPr>'
        return f"<a:p>{number}<a:r><a:t>{text}</a:t></a:r></a:p>"

    bullet = (
        '<a:p><a:pPr lvl="1"><a:buChar char="x"/></a:pPr><a:r><a:t>g</a:t><a:br/><a:t>h</a:t></a:r></a:p>'
    )
    slide = shape(
        numbered("a", start=3),
        numbered("b", 1, "alphaLcParenR"),
        numbered("c", 1, "alphaLcParenR"),
        numbered("d", start=3),
        numbered("e", 1, "romanUcParenBoth"),
        bullet,
    )
    assert text_of([slide]).split("\n") == [
        *("3. a", "   a) b", "   b) c", "4. d", "   (I) e", "   - g"),
        "h".rjust(6),
    ]


def test_a_hidden_slide_and_a_broken_one_are_named_and_the_rest_is_read() -> None:
    hidden = f'<p:sld {OFFICE} show="0">{shape("no")}</p:sld>'
    first, second, found = read(pptx([hidden, "<broken", shape("x")]), "a.pptx")
    assert isinstance(first, Refused)
    assert isinstance(second, Refused)
    assert (first.outcome, first.reason, first.part) == (Outcome.SKIPPED, "hidden slide", "slide 1")
    assert (second.reason, second.part) == ("broken XML", "slide 2")
    assert isinstance(found, Text)
    assert found.text == "x"


def test_slides_without_text_are_refused() -> None:
    with pytest.raises(Refused, match="PPTX without text"):
        list(read(pptx([shape("")]), "a.pptx"))
    with pytest.raises(Refused, match="PPTX without text"):
        list(read(docx(""), "a.pptx"))
