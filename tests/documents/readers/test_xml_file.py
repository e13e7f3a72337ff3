import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.readers.xml_file import MAX_DEPTH, read
from bhasa.documents.records import Text

BOOK = """<?xml version="1.0"?>
<!DOCTYPE article SYSTEM "docbook.dtd">
<article xml:id="unseen"><title>One</title><para>Two <emphasis role="unseen">three</emphasis>
    four &amp; &#102;ive<!-- unseen --> <![CDATA[<six>]]></para><para>seven</para>
<itemizedlist><listitem><para>eight</para></listitem><listitem><para>nine</para></listitem></itemizedlist>
<para>ten<itemizedlist><listitem><para>eleven</para></listitem></itemizedlist>twelve</para>
<programlisting>if x:
    y</programlisting><para>thir<lb/>teen</para></article>"""


def only(content: bytes | str) -> Text:
    (record,) = read(content.encode() if isinstance(content, str) else content, "file")
    return record


def test_a_document_is_what_its_reader_sees() -> None:
    found = only(BOOK)
    assert found.text.split("\n") == [
        "One",
        "Two three four & five <six>",
        *("seven", "eight", "nine", "ten", "eleven", "twelve"),
        *("if x:", "    y", "thir", "teen"),
    ]
    assert found.language == ""


@pytest.mark.parametrize(
    "source",
    [
        '<server port="80"><name>alpha</name><path>/srv</path></server>',
        "<rss><item><title>&lt;b&gt;</title></item></rss>",
        "<p>one <b>two</b>",
        "<p>one <b>two</p></b>",
        "<p>one <b>two</b> &nbsp;</p>",
        '<!DOCTYPE p [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]><p>one <b>two</b> &b;</p>',
        '<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]><p>one <b>two</b> &a;</p>',
        "<a>one " * (MAX_DEPTH + 1) + "</a>" * (MAX_DEPTH + 1),
        "no XML at all",
        "",
    ],
)
def test_anything_else_is_the_source_that_it_is(source: str) -> None:
    assert only(source) == Text(source, {"encoding": "utf-8"}, language="xml")


@pytest.mark.parametrize("encoding", ["ISO-8859-2", "windows-1250", "utf-8", "UTF-8"])
def test_the_declared_encoding_is_believed(encoding: str) -> None:
    source = f"<?xml version='1.0' encoding='{encoding}'?><p>k\u016f\u0148 <b>\u017elut\u00fd</b></p>"
    assert only(source.encode(encoding)).text == "k\u016f\u0148 \u017elut\u00fd"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (b"<?xml version='1.0' encoding='punycode'?><a/>", "utf-8"),
        (b"<?xml version='1.0' encoding='ascii'?><a>\xc3\xa9</a>", "utf-8"),
        (
            codecs.BOM_UTF16_LE + "<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16-le"),
            "utf-16-le",
        ),
    ],
)
def test_a_declared_encoding_that_is_wrong_or_unusual_is_not(content: bytes, encoding: str) -> None:
    assert only(content).meta["encoding"] == encoding


PIECES = st.sampled_from(
    ["<p>", "</p>", "<b>", "</b>", "word ", "&amp;", "<![CDATA[x]]>", "<!--c-->", "<lb/>", "&#xd800;"]
)


@given(st.lists(PIECES, max_size=12))
def test_any_source_is_text(pieces: list[str]) -> None:
    source = f"<p>{''.join(pieces)}</p>".encode(errors="surrogatepass")
    for record in read(source, "file"):
        assert isinstance(record, Text)
