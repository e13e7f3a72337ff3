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
