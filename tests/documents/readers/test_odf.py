import pytest

from bhasa.documents.readers.odf import read
from bhasa.documents.records import Refused
from tests.documents.readers.office_files import OPEN_DOCUMENT, odt

LIST = (
    '<text:list-style style:name="L">'
    '<text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>'
    '<text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")"'
    ' text:display-levels="2"/>'
    '<text:list-level-style-bullet text:level="3" text:bullet-char="x"/></text:list-style>'
)


def text_of(body: str, styles: str = "", more: dict[str, str] | None = None) -> str:
    (found,) = read(odt(body, styles=styles, more=more), "a.odt")
    return found.text


def items(*items: str, attributes: str = 'text:style-name="L"') -> str:
    """Of texts, or of inner lists."""
    inside = (i if i.startswith("<") else f"<text:p>{i}</text:p>" for i in items)
    listed = "".join(f"<text:list-item>{i}</text:list-item>" for i in inside)
    return f"<text:list {attributes}>{listed}</text:list>"


def test_paragraphs_spaces_tabs_and_breaks() -> None:
    body = "<text:p>a  b<text:s text:c='3'/>c\n d<text:tab/>e<text:line-break/>f</text:p><text:h>g</text:h>"
    assert text_of(body) == "a b   c d\te\nf\n\ng"


def test_title_and_date_are_in_meta() -> None:
    (found,) = read(odt("<text:p>x</text:p>"), "a.odt")
    assert found.meta == {"title": "A title", "date": "1999-12-31"}


def test_lists_have_levels_and_numbers() -> None:
    inner = f"<text:p>b</text:p>{items('c', items('d', attributes=''), attributes='')}"
    assert text_of(items("a", inner, "e"), LIST).split("\n") == [
        "1. a",
        "2. b",
        "   2.a) c",
        "   - d",
        "3. e",
    ]


def test_a_list_goes_on_where_it_says_and_begins_anew_otherwise() -> None:
    between = "<text:p>between</text:p>"
    goes_on = items("b", attributes='text:style-name="L" text:continue-numbering="true"')
    by_name = items("d", attributes='text:style-name="L" text:continue-list="one"')
    body = (
        items("a", attributes='text:style-name="L" xml:id="one"')
        + between
        + goes_on
        + between
        + items("c")
        + by_name
    )
    assert [line for line in text_of(body, LIST).split("\n") if line[:1].isdigit()] == [
        "1. a",
        "2. b",
        "1. c",
        "2. d",
    ]
    start = items("x").replace("<text:list-item>", '<text:list-item text:start-value="9">')
    assert text_of(start, LIST) == "9. x"


def test_headings_have_numbers_where_the_outline_has() -> None:
    levels = "".join(
        f'<text:outline-level-style text:level="{n}" style:num-format="1" text:display-levels="{n}"/>'
        for n in (1, 2)
    )
    outline = {"styles.xml": f"<s{OPEN_DOCUMENT}><text:outline-style>{levels}</text:outline-style></s>"}
    body = "".join(
        f'<text:h text:outline-level="{level}">{text}</text:h>'
        for level, text in [(1, "a"), (2, "b"), (1, "c")]
    )
    assert text_of(body, more=outline) == "1 a\n\n1.1 b\n\n2 c"
    assert text_of(body) == "a\n\nb\n\nc"


def test_cells_are_apart_row_by_row() -> None:
    cells = (
        "<table:table-cell><text:p>a</text:p></table:table-cell>"
        '<table:table-cell table:number-columns-repeated="2"/><table:covered-table-cell/>'
        '<table:table-cell table:number-columns-repeated="2"><text:p>b</text:p></table:table-cell>'
    )
    row = f"<table:table-row>{cells}</table:table-row>"
    assert text_of(f"<table:table>{row}{row}</table:table>") == "a\t\t\t\tb\tb\na\t\t\t\tb\tb"


def test_repeated_cells_cannot_multiply() -> None:
    cell = "<text:p>x</text:p>"
    for _ in range(12):
        cell = f'<table:table-cell table:number-columns-repeated="1000000">{cell}</table:table-cell>'
        cell = f"<table:table><table:table-row>{cell}</table:table-row></table:table>"
    assert len(text_of(cell)) < 20_000


def test_deleted_text_comments_and_descriptions_are_left_out() -> None:
    body = (
        "<text:tracked-changes><text:deletion><text:p>no</text:p></text:deletion></text:tracked-changes>"
        "<text:p>a<office:annotation><text:p>no</text:p></office:annotation>"
        "<draw:frame><svg:title>no</svg:title><svg:desc>no</svg:desc></draw:frame><text:title>b</text:title></text:p>stray"
    )
    assert text_of(body) == "ab"


def test_notes_follow_the_text_and_boxes_their_paragraph() -> None:
    note = (
        "<text:note><text:note-citation>i</text:note-citation>"
        "<text:note-body><text:p>note</text:p></text:note-body></text:note>"
    )
    box = "<draw:frame><draw:text-box><text:p>box</text:p></draw:text-box></draw:frame>"
    shape = "<draw:custom-shape><text:p>shape</text:p></draw:custom-shape>"
    assert (
        text_of(f"<text:p>a{note}b{box}{shape}</text:p><text:p>c</text:p>")
        == "a[i]b\n\nbox\n\nshape\n\nc\n\n[i] note"
    )


def test_pages_of_a_presentation_without_their_furniture() -> None:
    def frame(text: str, kind: str) -> str:
        box = f"<draw:text-box><text:p>{text}</text:p></draw:text-box>"
        return f'<draw:frame presentation:class="{kind}">{box}</draw:frame>'

    notes = f"<presentation:notes>{frame('said', 'notes')}{frame('7', 'page-number')}</presentation:notes>"
    page = f"<draw:page>{frame('head', 'title')}{frame('foot', 'footer')}{notes}</draw:page>"
    assert text_of(page + page) == "head\n\nsaid\n\nhead\n\nsaid"


def test_a_flat_file_is_read_without_its_images() -> None:
    flat = (
        f"<office:document{OPEN_DOCUMENT} xmlns:dc='dc'><office:meta><dc:title>T</dc:title></office:meta>"
        "<office:body><text:p>a<office:binary-data>QUJD</office:binary-data></text:p></office:body></office:document>"
    )
    (found,) = read(flat.encode(), "a.fodt")
    assert (found.text, found.meta) == ("a", {"title": "T"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (odt("<text:p>"), "broken XML"),
        (odt("<text:p/>"), "without text"),
        (odt("", more={"META-INF/manifest.xml": "<m><encryption-data/></m>"}), "encrypted document"),
        (b"PK", "broken zip file"),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        list(read(content, "a.odt"))
