"""Words planted in every construct of a format come out, each once and in order."""

import json
import re
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from bhasa.documents.readers import READERS
from bhasa.documents.records import Text
from tests.documents.readers.office_files import docx, epub, odt, paragraph, pptx, shape

HTML = """<html><head><title>title</title><style>style</style><script>let a = "<p>script";</script>
</head><body>
<h1>W</h1>W<p>W <b>W</b><i>-W</i> W&amp;W<br>W<p>W<ol><li>W<li>W<ul><li>W<p>W</ul><li value=9>W</ol>
<table><caption>W</caption><tr><th>W<th>W<tr><td>W<table><tr><td>W<td>W</table><td>W</table>
<pre>W
   W</pre><blockquote>W<blockquote>W</blockquote></blockquote><dl><dt>W<dd>W</dl><q>W</q>
<ruby>W<rp>(</rp><rt>W</rt></ruby><a href=x>W</a><sup>W</sup>
<details><summary>W</summary>W</details>
<figure><img alt=alt><figcaption>W</figcaption></figure><div hidden>hidden<p>hidden</div>
<textarea>W</textarea><form><button>W</button><input value=value><select><option>option</select></form>
<center>W</center><del>W</del>
<noscript>noscript</noscript><svg><title>icon</title><text>W</text></svg><section>W</section></body></html>"""

TABLE_CELL = "<w:tc>{}</w:tc>"
BOX = "<w:txbxContent>" + paragraph("W") + "</w:txbxContent>"
DOCX = "".join(
    [
        *(paragraph("W"), paragraph("W", "<w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr>")),
        "<w:tbl><w:tr>",
        TABLE_CELL.format(paragraph("W")),
        TABLE_CELL.format(paragraph("W") * 2),
        "</w:tr></w:tbl>",
        "<w:p><w:r><w:t>W</w:t></w:r><w:hyperlink><w:r><w:t>W</w:t></w:r></w:hyperlink>",
        "<w:ins><w:r><w:t>W</w:t></w:r></w:ins><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>",
        f"<w:r><mc:AlternateContent><mc:Choice>{BOX}</mc:Choice><mc:Fallback>fallback</mc:Fallback>",
        "</mc:AlternateContent></w:r></w:p><w:sdt><w:sdtPr/><w:sdtContent>",
        f"{paragraph('W')}</w:sdtContent></w:sdt><w:p><w:fldSimple><w:r><w:t>W</w:t></w:r></w:fldSimple>",
        "<w:smartTag><w:r><w:t>W</w:t></w:r></w:smartTag><m:oMath><m:r><m:t>W</m:t></m:r></m:oMath>",
        '<w:r><w:footnoteReference w:id="1"/></w:r></w:p>',
    ]
)

LIST = "<text:list><text:list-item><text:p>W</text:p>{}</text:list-item></text:list>"
CELL = "<table:table-cell>{}</table:table-cell>"
ODT = "".join(
    [
        "<text:h>W</text:h><text:p>W <text:span>W</text:span><text:s/>W<text:tab/>W<text:line-break/>W",
        "</text:p>",
        LIST.format(LIST.format("")),
        "<table:table><table:table-row>",
        CELL.format("<text:p>W</text:p>"),
        CELL.format("<text:p>W</text:p>" * 2),
        "</table:table-row></table:table><text:section><text:p>W</text:p></text:section>",
        "<text:p>W<draw:frame><draw:text-box><text:p>W</text:p></draw:text-box></draw:frame></text:p>",
        "<text:p><text:a>W</text:a><office:annotation><text:p>comment</text:p></office:annotation></text:p>",
    ]
)


def planted(template: str) -> tuple[str, list[str]]:
    """With another word at each `W`, and the words."""
    count = len(re.findall(r"\bW\b", template))
    words = [f"word{number}" for number in range(count)]
    rest = iter(words)
    return re.sub(r"\bW\b", lambda _: next(rest), template), words


def mail_of(html: str) -> bytes:
    made = EmailMessage()
    made["Subject"] = "mail"
    made.set_content(html, subtype="html")
    return made.as_bytes()


def notebook_of(text: str) -> bytes:
    output = {"output_type": "stream", "text": text.split("\n")[1:]}
    code = {"cell_type": "code", "source": text.split("\n")[0], "outputs": [output]}
    return json.dumps({"cells": [code]}).encode()


@pytest.mark.parametrize(
    ("suffix", "template", "build"),
    [
        (".html", HTML, str.encode),
        (".eml", HTML, mail_of),
        (".docx", DOCX, lambda body: docx(body, footnotes="<w:footnote w:id='1'><w:p/></w:footnote>")),
        (".odt", ODT, odt),
        (".pptx", shape("W", "W") + shape("W", placeholder="title"), lambda slide: pptx([slide])),
        (".epub", "<h1>W</h1><p>W<br/>W</p><ol><li>W</li></ol>", lambda body: epub({"a": body})),
        (".srt", "00:01.000 --> 00:02.000\nW W\nW\n\n3\n00:03.000 --> 00:04.000\n<i>W</i>", str.encode),
        (".ipynb", "W W\nW\nW", notebook_of),
    ],
)
def test_each_word_comes_once_and_in_order(suffix: str, template: str, build: Callable[[str], bytes]) -> None:
    text, words = planted(template)
    (found,) = READERS[suffix].read(build(text), f"a{suffix}")
    assert isinstance(found, Text)
    assert re.findall(r"word\d+", found.text) == words
    left_out = {
        "title",
        "style",
        "script",
        "hidden",
        "option",
        "value",
        "noscript",
        "alt",
        "deleted",
        "comment",
    }
    assert left_out.isdisjoint(found.text.split())
