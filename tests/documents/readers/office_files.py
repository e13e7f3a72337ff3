"""Makes small files of the formats that office programs, browsers and mail programs write."""

import io
import zipfile


def zipped(parts: dict[str, str | bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return written.getvalue()


def epub(
    chapters: dict[str, str], *, metadata: str = "", spine: str = "", more: dict[str, str] | None = None
) -> bytes:
    """Of XHTML bodies by file name, which stand in the spine in this order unless it is given."""
    items = "".join(f'<item id="{n}" href="{n}" media-type="application/xhtml+xml"/>' for n in chapters)
    spine = spine or "".join(f'<itemref idref="{n}"/>' for n in chapters)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata>{metadata}</metadata><manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfile full-path="OEBPS/p.opf"/></container>',
            "OEBPS/p.opf": package,
            **{
                f"OEBPS/{name}": f"<html><title/><body>{body}</body></html>"
                for name, body in chapters.items()
            },
            **(more or {}),
        }
    )


def _relationships(*related: tuple[str, str, str]) -> str:
    """Of (id, kind, target)."""
    listed = "".join(
        f'<Relationship Id="{key}" Type="http://example/relationships/{kind}" Target="{target}"/>'
        for key, kind, target in related
    )
    return f"<Relationships>{listed}</Relationships>"


CORE = (
    '<p xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="x"><dc:title>A title</dc:title>'
    "<dcterms:created>1999-12-31T00:00:00Z</dcterms:created></p>"
)
OFFICE = (
    'xmlns:w="w" xmlns:m="m" xmlns:mc="mc" xmlns:wps="wps" xmlns:v="v" xmlns:wp="wp" xmlns:p="p" xmlns:a="a"'
    ' xmlns:dgm="dgm" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)


def docx(
    body: str,
    *,
    numbering: str = "",
    styles: str = "",
    footnotes: str = "",
    endnotes: str = "",
    diagram: str = "",
) -> bytes:
    """Of the elements inside each part."""
    kinds = ("numbering", "styles", "footnotes", "endnotes", "diagramData")
    parts = dict(zip(kinds, (numbering, styles, footnotes, endnotes, diagram), strict=True))
    return zipped(
        {
            "_rels/.rels": _relationships(
                ("rId1", "officeDocument", "word/document.xml"), ("rId2", "core-properties", "/core.xml")
            ),
            "core.xml": CORE,
            "word/document.xml": f"<w:document {OFFICE}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": _relationships(*((kind, kind, f"{kind}.xml") for kind in parts)),
            **{f"word/{kind}.xml": f"<w:part {OFFICE}>{content}</w:part>" for kind, content in parts.items()},
        }
    )


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def pptx(slides: list[str], notes: dict[int, str] | None = None, *, order: list[int] | None = None) -> bytes:
    """Of the shapes of each slide, shown in this order unless another is given; notes by slide."""
    notes = notes or {}
    shown = "".join(f'<p:sldId id="{256 + n}" r:id="s{n}"/>' for n in order or range(len(slides)))
    parts: dict[str, str | bytes] = {
        "_rels/.rels": _relationships(
            ("rId1", "officeDocument", "ppt/presentation.xml"), ("rId2", "core-properties", "core.xml")
        ),
        "core.xml": CORE,
        "ppt/presentation.xml": f"<p:presentation {OFFICE}><p:sldIdLst>{shown}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": _relationships(
            *((f"s{n}", "slide", f"slides/slide{n}.xml") for n in range(len(slides)))
        ),
    }
    for number, shapes in enumerate(slides):
        parts[f"ppt/slides/slide{number}.xml"] = (
            shapes if shapes.startswith("<p:sld ") else f"<p:sld {OFFICE}>{shapes}</p:sld>"
        )
    for number, shapes in notes.items():
        parts[f"ppt/notes/{number}.xml"] = f"<p:notes {OFFICE}>{shapes}</p:notes>"
        parts[f"ppt/slides/_rels/slide{number}.xml.rels"] = _relationships(
            ("n", "notesSlide", f"../notes/{number}.xml")
        )
    return zipped(parts)


def shape(*paragraphs: str, placeholder: str = "body") -> str:
    """Of texts, or of paragraphs that are written out."""
    written = (p if p.startswith("<a:p") else f"<a:p><a:r><a:t>{p}</a:t></a:r></a:p>" for p in paragraphs)
    return (
        f'<p:sp><p:nvPr><p:ph type="{placeholder}"/></p:nvPr><p:txBody>{"".join(written)}</p:txBody></p:sp>'
    )


OPEN_DOCUMENT = "".join(
    f' xmlns:{space[:3] if space[:3] == "svg" else space}="urn:oasis:names:tc:opendocument:xmlns:{space}:1.0"'
    for space in ("office", "text", "table", "draw", "style", "svg-compatible", "presentation")
)


def odt(body: str, *, styles: str = "", more: dict[str, str] | None = None) -> bytes:
    """Of the elements of the body and of its automatic styles."""
    content = (
        f"<office:document-content{OPEN_DOCUMENT}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body>{body}</office:body></office:document-content>"
    )
    meta = (
        '<d xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:m="m"><m:meta><dc:title>A title</dc:title>'
        "<m:creation-date>1999-12-31</m:creation-date></m:meta></d>"
    )
    return zipped({"mimetype": "x", "content.xml": content, "meta.xml": meta, **(more or {})})
