import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.readers.hypertext import layout_html, read
from bhasa.documents.records import Refused, Text

RUSSIAN = "Модель сжимает последовательность в состояние."


def text_of(html: str) -> str:
    return layout_html(html).text


def one(content: bytes, name: str = "page.html") -> Text:
    (found,) = read(content, name)
    return found


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>one<p>two\n  words", "one\n\ntwo words"),
        ("a <b> b</b> <i>c</i>d", "a b cd"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<h2>Head</h2>text", "Head\n\ntext"),
        ("&lt;b&gt; &amp;amp; A&B &nbsp;x &eacute;&#8364;", "<b> &amp; A&B \xa0x \xe9\u20ac"),
        ("x<sup>2</sup> 10<sup>-6</sup> 2<sup>nd</sup>", "x\xb2 10\u207b\u2076 2nd"),
        ("<q>so</q>", "\u201cso\u201d"),
        ("<ruby>kan<rp>(</rp><rt>ji</rt><rp>)</rp></ruby>", "kan(ji)"),
        ("<dl><dt>term<dd>meaning</dl>", "term\nmeaning"),
        ("a<pre>\n  b\n\n    c\n</pre>d", "a\n\n  b\n\n    c\n\nd"),
        ("<pre>a<br>  <b>b</b></pre>", "a\n  b"),
    ],
)
def test_text_flows_as_in_a_browser(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<ol start=9><li>a<li>b</ol>", "9. a\n10. b"),
        ("<ol><li>a<li value=7>b<li>c</ol>", "1. a\n7. b\n8. c"),
        ("<ol type=a start=27><li>x</ol>", "aa. x"),
        ("<ol type=I start=4><li>x</ol>", "IV. x"),
        ("<ol reversed start=2><li>x<li>y</ol>", "2. x\n1. y"),
        ("<ol><li>a<ol type=i><li>b<li>c</ol><li>d</ol>", "1. a\n   i. b\n   ii. c\n2. d"),
        ("<ol><li><p>a<p>b</li></ol>c", "1. a\n\n   b\n\nc"),
        ("<ol><li></li><li>b</ol>", "2. b"),
        ("<ul><li><ol><li>x</ol></ul>", "- 1. x"),
        ("<ol start=zero><li>x</ol>", "1. x"),
    ],
)
def test_items_have_the_markers_that_one_sees(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<table><tr><th>A<th>B<tr><td>1<td>2</table>", "A\tB\n1\t2"),
        ("<table><tr><td>1<td><td>3</table>", "1\t\t3"),
        ("<table><tr><td><p>a<p>b<td>c</table>", "a\n\nb\n\nc"),
        ("<table><tr><td><table><tr><td>in1<td>in2<tr><td>in3</table><td>z</table>", "in1\tin2\nin3\n\nz"),
        ("<table><td>no row</table>", "no row"),
        ("<table><caption>C</caption><tr><td>x</table>", "C\nx"),
        ("<table><tr><td><ul><li>a<li>b</ul><td>c</table>", "- a\n- b\n\nc"),
    ],
)
def test_cells_are_apart_row_by_row(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    "hidden",
    [
        "<script>if (a<b) x</script>",
        "<script type='x'/>x</script>",
        "<script src='x'/>",
        "<style>p{}</style>",
        "<template><p>x</template>",
        "<noscript>x</noscript>",
        "<p hidden>x <b>x</b></p>",
        "<div style='color: red; DISPLAY : none'><p>x</p></div>",
        "<span class='a sr-only'>x</span>",
        "<select><option>x</select>",
        "<math><annotation encoding='application/x-tex'>x</annotation></math>",
        "<svg><title>x</title></svg>",
        "<!-- x -->",
        "<img alt=x>",
    ],
)
def test_what_is_not_shown_is_left_out(hidden: str) -> None:
    assert text_of(f"<title>t</title>before {hidden} after").split() == ["before", "after"]


def test_a_note_that_a_reader_shows_in_a_window_is_kept() -> None:
    assert text_of('a<aside epub:type="footnote" hidden>note</aside>') == "a\nnote"


def test_a_page_that_is_hidden_until_a_script_shows_it_is_read() -> None:
    assert text_of("<html hidden><body style='visibility: hidden'><p>a<p hidden>b</p></body></html>") == "a"


def test_title_and_language_are_in_meta() -> None:
    found = layout_html(
        "<html lang=de><head><title>A &amp;\n B</title></head><svg><title>no</title></svg><p>x"
    )
    assert (found.text, found.meta) == ("x", {"title": "A & B", "language": "de"})


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (f"<meta charset=koi8-r><p>{RUSSIAN}".encode("koi8-r"), "koi8_r"),
        (
            f"<meta http-equiv=x content='text/html; charset=windows-1251'>{RUSSIAN}".encode("cp1251"),
            "cp1251",
        ),
        (f"<?xml version='1.0' encoding='iso-8859-5'?><p>{RUSSIAN}".encode("iso8859_5"), "iso8859_5"),
        (f"<meta charset=iso-8859-1><p>{RUSSIAN}".encode(), "utf-8"),
        (f"<meta charset=koi8-r><p>{RUSSIAN}<i>".encode() + b"\xff", "utf-8"),
        (f"<meta charset=utf-8><p>{RUSSIAN}".encode("utf-16"), "utf-16-le"),
        (f"<meta charset=utf-7>{RUSSIAN}".encode(), "utf-8"),
    ],
)
def test_the_encoding_is_the_declared_one_unless_the_bytes_are_of_another(
    content: bytes, encoding: str
) -> None:
    found = one(content)
    assert (found.text.rstrip("\ufffd"), found.meta["encoding"]) == (RUSSIAN, encoding)


def test_latin_1_means_what_browsers_take_it_for() -> None:
    assert one(b"<meta charset=iso-8859-1>\x93caf\xe9\x94").text == "\u201ccaf\xe9\u201d"


def test_xhtml_is_read_as_xml_and_as_html_where_it_is_broken() -> None:
    doctype = (
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">'
    )
    well_formed = f"{doctype}<html xmlns='x'><head><title/></head><body>a&nbsp;b&mdash;c<br/>d</body></html>"
    assert one(well_formed.encode(), "a.xhtml").text == "a\xa0b\u2014c\nd"
    assert one(b"<html><body><p>a<br>b</body></html>", "a.xhtml").text == "a\nb"


@pytest.mark.parametrize("content", [b"", b" ", b"<", b"<p hidden>x", b"<!--"])
def test_a_page_without_text_is_refused(content: bytes) -> None:
    if content == b"<":
        assert one(content).text == "<"
        return
    with pytest.raises(Refused, match="HTML without text"):
        one(content)


@pytest.mark.parametrize("tag", ["<div>", "<ul><li>", "<table><tr><td>", "<b>", "<pre>", "<sup>"])
def test_deep_nesting_is_refused(tag: str) -> None:
    with pytest.raises(Refused, match="nested too deeply"):
        one(f"{tag * 3000}x".encode())


@pytest.mark.parametrize(
    "piece",
    ["<a ", "<!--", "<", "</p>", "&a", "<a x='", "<br>", "<p>", "<script ", "<li>x", "<td>x", "<?", "<!["],
)
def test_repeated_beginnings_take_linear_time(piece: str) -> None:
    # 400 kB: anything quadratic would take minutes.
    one(b"<p>x" + piece.encode() * (400_000 // len(piece)))


TAGS = [
    *(
        "p",
        "ul",
        "ol",
        "li",
        "table",
        "tr",
        "td",
        "th",
        "pre",
        "br",
        "div",
        "sup",
        "b",
        "title",
        "ruby",
        "rt",
    ),
    *("q", "html", "body", "select", "option", "script", "svg", "textarea", "form", "math", "p hidden"),
]
PIECES = st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS])


@given(st.lists(st.one_of(PIECES, st.just("word"), st.text(max_size=3))))
def test_any_order_of_tags_is_laid_out(pieces: list[str]) -> None:
    assert isinstance(text_of(" ".join(pieces)), str)
