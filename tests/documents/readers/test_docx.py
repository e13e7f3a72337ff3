import pytest

from bhasa.documents.readers.docx import read
from bhasa.documents.records import Refused, Text
from tests.documents.readers.office_files import docx, paragraph, zipped

NUMBERS = "".join(
    f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{kind}"/><w:lvlText w:val="{text}"/>'
    "</w:lvl>"
    for level, (kind, text) in enumerate(
        [("decimal", "%1."), ("lowerLetter", "%1.%2)"), ("upperRoman", "(%3)"), ("bullet", "&#xf0b7;")]
    )
)
NUMBERING = (
    f'<w:abstractNum w:abstractNumId="7">{NUMBERS}</w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
    '<w:num w:numId="2"><w:abstractNumId w:val="7"/>'
    '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride></w:num>'
)


def text_of(body: str, **parts: str) -> str:
    (found,) = read(docx(body, **parts), "a.docx")
    return found.text


def item(text: str, level: int = 0, number: int = 1) -> str:
    place = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return paragraph(text, place)


def test_paragraphs_runs_tabs_and_breaks() -> None:
    runs = "<w:r><w:t>one</w:t></w:r><w:r><w:t>word </w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>"
    assert text_of(f"<w:p>{runs}</w:p>{paragraph('d &amp; e')}<w:p/>") == "oneword \tb\nc\n\nd & e"


def test_title_and_date_are_in_meta() -> None:
    (found,) = read(docx(paragraph("x")), "a.docx")
    assert found.meta == {"title": "A title", "date": "1999-12-31T00:00:00Z"}


def test_numbers_have_levels_and_formats_and_begin_anew_below_another() -> None:
    body = "".join(
        [
            item("a"),
            item("b", 1),
            item("c", 1),
            item("d", 2),
            item("e"),
            item("f", 1),
            item("g", 3),
            item("h"),
        ]
    )
    assert text_of(body, numbering=NUMBERING).split("\n") == [
        *("1. a", "   1.a) b", "   1.b) c", "      (I) d", "2. e", "   2.a) f", "         - g", "3. h")
    ]


def test_a_list_goes_on_after_other_text_and_begins_where_it_says() -> None:
    body = (
        item("a") + paragraph("between") + item("b") + item("c", number=2) + item("d", number=2) + item("e")
    )
    assert text_of(body, numbering=NUMBERING) == "1. a\n\nbetween\n\n2. b\n5. c\n6. d\n7. e"


def test_numbers_come_from_styles_too_and_can_be_taken_away() -> None:
    styles = (
        '<w:style w:styleId="H"><w:numId w:val="1"/><w:outlineLvl w:val="0"/></w:style>'
        '<w:style w:styleId="H2"><w:basedOn w:val="H"/><w:ilvl w:val="1"/></w:style>'
        '<w:style w:styleId="loop"><w:basedOn w:val="loop"/></w:style>'
    )
    bare = '<w:pStyle w:val="H"/><w:numPr><w:numId w:val="0"/></w:numPr>'
    body = paragraph("a", '<w:pStyle w:val="H"/>') + paragraph("b", '<w:pStyle w:val="H2"/>')
    body += paragraph("c", bare) + paragraph("d", '<w:pStyle w:val="loop"/>')
    assert text_of(body, numbering=NUMBERING, styles=styles) == "1. a\n1.a) b\n\nc\n\nd"


def test_cells_are_apart_row_by_row_and_deleted_rows_are_gone() -> None:
    def row(*cells: str, properties: str = "") -> str:
        return (
            f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(f'<w:tc>{cell}</w:tc>' for cell in cells)}</w:tr>"
        )

    nested = f"<w:tbl>{row(paragraph('x'), paragraph('y'))}</w:tbl><w:p/>"
    table = (
        row(paragraph("a"), "<w:p/>", paragraph("c"))
        + row(paragraph("no"), properties="<w:del/>")
        + row(nested)
    )
    assert text_of(f"<w:tbl>{table}</w:tbl>") == "a\t\tc\nx\ty"


def test_deleted_moved_and_hidden_text_and_fields_codes_are_left_out() -> None:
    body = (
        "<w:p><w:r><w:t>a</w:t></w:r><w:del><w:r><w:delText>no</w:delText><w:t>no</w:t></w:r></w:del>"
        "<w:ins><w:r><w:t>b</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>no</w:t></w:r></w:moveFrom>"
        "<w:r><w:rPr><w:vanish/></w:rPr><w:t>no</w:t></w:r><w:r><w:instrText>PAGE</w:instrText></w:r>"
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>c</w:t></w:r></w:p>'
    )
    changed = '<w:pPrChange><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:pPrChange>'
    assert text_of(body + paragraph("d", changed), numbering=NUMBERING) == "abc\n\nd"


def test_a_box_comes_once_after_its_paragraph() -> None:
    box = f"<w:txbxContent>{paragraph('box')}</w:txbxContent>"
    both = (
        f"<mc:AlternateContent><mc:Choice><wps:txbx>{box}</wps:txbx></mc:Choice>"
        f"<mc:Fallback><v:textbox>{box}</v:textbox></mc:Fallback></mc:AlternateContent>"
    )
    body = f"<w:p><w:r><w:t>before</w:t>{both}<w:t>after</w:t></w:r></w:p>{paragraph('next')}"
    assert text_of(body) == "beforeafter\n\nbox\n\nnext"
    only_fallback = f"<mc:AlternateContent><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    assert text_of(f"<w:p><w:r>{only_fallback}</w:r></w:p>") == "box"


def test_notes_follow_the_text_in_the_order_of_their_marks() -> None:
    body = (
        '<w:p><w:r><w:t>a</w:t><w:{1}Reference w:id="2"/><w:t>b</w:t><w:{0}Reference w:id="2"/></w:r></w:p>'
    )
    notes = {
        f"{kind}s": f'<w:{kind} w:id="1">{paragraph("unused")}</w:{kind}>'
        f'<w:{kind} w:id="2">{paragraph(" " + kind)}</w:{kind}>'
        for kind in ("footnote", "endnote")
    }
    assert text_of(body.format("footnote", "endnote"), **notes) == "a[1]b[2]\n\n[1] endnote\n\n[2] footnote"


def test_formulas_ruby_superscript_drop_caps_and_diagrams() -> None:
    fraction = "<m:f><m:num><m:r><m:t>a</m:t></m:r></m:num><m:den><m:r><m:t>b</m:t></m:r></m:den></m:f>"
    bracket = f"<m:d><m:dPr/><m:e>{fraction}</m:e></m:d>"
    ruby = "<w:ruby><w:rt><w:t>ji</w:t></w:rt><w:rubyBase><w:t>kan</w:t></w:rubyBase></w:ruby>"
    raised = '<w:r><w:t>x</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>2</w:t></w:r>'
    cap = paragraph("D", '<w:framePr w:dropCap="drop"/>') + paragraph("rop")
    art = '<w:p><w:r><dgm:relIds r:dm="diagramData"/></w:r></w:p>'
    diagram = "<dgm:pt><a:t>to</a:t><a:t>p</a:t></dgm:pt><dgm:pt/><dgm:pt><a:t>low</a:t></dgm:pt>"
    body = f"<w:p>{bracket}</w:p><w:p>{ruby}</w:p><w:p>{raised}</w:p>{cap}{art}"
    assert text_of(body, diagram=diagram).split("\n\n") == ["(a/b)", "kan(ji)", "x\xb2", "Drop", "top\nlow"]


@pytest.mark.parametrize(
    ("font", "char", "text"),
    [
        ("Symbol", "F061", "\u03b1"),
        ("Symbol", "57", "\u03a9"),
        ("Symbol", "F028", "("),
        ("Arial", "20AC", "\u20ac"),
        ("Wingdings", "F0FC", ""),
        ("Arial", "D800", ""),
        ("Symbol", "no", ""),
    ],
)
def test_symbols_named_by_their_place_in_a_font(font: str, char: str, text: str) -> None:
    assert (
        text_of(f'<w:p><w:r><w:t>a</w:t><w:sym w:font="{font}" w:char="{char}"/></w:r></w:p>') == f"a{text}"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"broken zip file \(BadZipFile\)"),
        (b"PK\x03\x04" + b"x" * 100, r"broken zip file \(BadZipFile\)"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600, "encrypted or of the old binary kind"),
        (zipped({"a": "b"}), "without a main part"),
        (docx("<w:p>"), "broken XML"),
        (docx(paragraph("")), "DOCX without text"),
        (docx("<w:x>" * 3000), "nested too deeply"),
        (
            docx("<w:tbl><w:tr><w:tc>" * 300 + "</w:tc></w:tr></w:tbl>" * 300),
            "tables that are nested too deeply",
        ),
        (docx(paragraph("a" * 40_000_000)), "unpacks to more than 100 times"),
        (
            zipped(
                {
                    "_rels/.rels": '<x><Relationship Type="/officeDocument" Target="d.xml"/></x>',
                    "d.xml": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>',
                }
            ),
            "XML with declarations of its own",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        list(read(content, "a.docx"))


def test_a_missing_part_is_named_by_kind() -> None:
    listing = '<x><Relationship Type="/officeDocument" Target="word/d.xml"/></x>'
    with pytest.raises(Refused, match="document without a part that it needs"):
        list(read(zipped({"_rels/.rels": listing}), "a.docx"))


def test_names_of_parts_differ_in_case_and_slashes() -> None:
    listing = '<x><Relationship Type="/officeDocument" Target="/Word/D.xml"/></x>'
    body = '<w:body xmlns:w="w"><w:p><w:r><w:t>text</w:t></w:r></w:p></w:body>'
    assert list(read(zipped({"_rels/.rels": listing, "word\\d.xml": body}), "a.docx")) == [Text("text")]
