"""PDFs that were written to hurt: bombs, loops, and numbers that claim anything."""

import zlib
from collections.abc import Callable
from functools import cache

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
PROSE = b"BT /F1 11 Tf 72 720 Td (Salt was worth its weight in gold, and the road to it was long.) Tj ET"
DEEP = 200_000
BOMB_BYTES = 300 << 20


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def packed(content: bytes, times: int = 1, entries: bytes = b"") -> bytes:
    for _ in range(times):
        content = zlib.compress(content, 9)
    return stream(content, entries + b"/Filter [" + b"/FlateDecode " * times + b"]")


def bomb(entries: bytes = b"") -> bytes:
    return stream(_blanks(), entries + b"/Filter [/FlateDecode /FlateDecode]")


@cache
def _blanks() -> bytes:
    """Packed twice."""
    maker = zlib.compressobj(9)
    once = b"".join(maker.compress(b" " * (1 << 20)) for _ in range(BOMB_BYTES >> 20)) + maker.flush()
    return zlib.compress(once, 9)


def document(*more: bytes, **changed: bytes) -> bytes:
    """A page of prose with these objects changed; further objects have the numbers from 6 on."""
    objects = {
        "catalog": b"<< /Type /Catalog /Pages 2 0 R >>",
        "pages": b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "page": b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> /XObject << /X 6 0 R >> >> >>",
        "content": stream(PROSE),
        "font": FONT,
    } | changed
    trailer = objects.pop("trailer", b"")
    parts, offsets, size = [b"%PDF-1.7\n"], [], 9
    for number, content in enumerate([*objects.values(), *more], 1):
        offsets.append(size)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, content))
        size += len(parts[-1])
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1))
    parts += [b"%010d 00000 n \n" % offset for offset in offsets]
    end = b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n"
    return b"".join(parts) + end % (len(offsets) + 1, trailer, size)


def form(content: bytes, resources: bytes = b"") -> bytes:
    entries = b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] /Resources << %s >>" % resources
    return stream(content, entries)


def doubling_forms(levels: int) -> bytes:
    """Each form shows the next one twice."""
    forms = [form(b"/X Do /X Do", b"/XObject << /X %d 0 R >>" % (7 + n)) for n in range(levels)]
    return document(*forms, form(PROSE, b"/Font << /F1 5 0 R >>"), content=stream(b"/X Do"))


def page_with(entries: bytes) -> bytes:
    return (
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> %s >>" % entries
    )


def claimed(length: bytes) -> bytes:
    return document(content=b"<< /Length %s >>\nstream\n%s\nendstream" % (length, PROSE))


def to_unicode(ranges: bytes) -> bytes:
    cmap = b"/CIDInit /ProcSet findresource begin begincmap 1 beginbfrange %s endbfrange endcmap end" % ranges
    return document(stream(cmap), font=FONT[:-2] + b"/ToUnicode 6 0 R >>")


def with_font(entries: bytes) -> bytes:
    return document(font=FONT[:-2] + entries + b" >>")


HEAVY = {
    "Flate bomb as font",
    "four million letters, each alone",
    "three million lines",
    "forms that double, 25 levels",
    "a map to Unicode of long texts",
}
"""What takes seconds, since it ends only when memory or processor time does."""

KINDS: dict[str, Callable[[], bytes]] = {
    "nothing wrong": lambda: document(),
    "Flate bomb as content": lambda: document(content=bomb()),
    "Flate bomb as font": lambda: document(
        bomb(b"/Length1 9 "), b"<< /Type /FontDescriptor /FontName /A /FontFile2 6 0 R >>",
        font=b"<< /Type /Font /Subtype /TrueType /BaseFont /A /FontDescriptor 7 0 R >>",
    ),
    "Flate bomb as object stream": lambda: document(bomb(b"/Type /ObjStm /N 1000000 /First 10 ")),
    "Flate bomb as map to Unicode": lambda: document(bomb(), font=FONT[:-2] + b"/ToUnicode 6 0 R >>"),
    "RunLength bomb": lambda: document(content=stream(b"\x81 " * 2_000_000, b"/Filter /RunLengthDecode")),
    "LZW bomb": lambda: document(content=stream(bytes(4_000_000), b"/Filter /LZWDecode")),
    "a hundred filters": lambda: document(content=packed(PROSE, 100)),
    "predictor of wide rows": lambda: document(content=packed(
        PROSE, entries=b"/DecodeParms << /Predictor 15 /Columns 2147483647 /Colors 64 >> "
    )),
    "four million letters, each alone": lambda: document(
        content=packed(b"BT /F1 1 Tf " + b"0 1 Td (a) Tj " * 4_000_000 + b"ET")
    ),
    "three million lines": lambda: document(content=packed(b"0 0 m 1 1 l S\n" * 3_000_000)),
    "one word of ten million letters": lambda: document(
        content=packed(b"BT /F1 1 Tf 72 720 Td (" + b"a" * 10_000_000 + b") Tj ET")
    ),
    "inline image without end": lambda: document(content=stream(b"BI /W 9 /H 9 ID " + b"E I" * 200_000)),
    "comment without end": lambda: document(content=stream(b"%" * 1_000_000)),
    "arrays in arrays": lambda: document(content=stream(b"[" * DEEP)),
    "dictionaries in dictionaries": lambda: document(b"<< /A " * DEEP),
    "arrays in arrays in an object": lambda: document(b"[" * DEEP + b"]" * DEEP),
    "saved states": lambda: document(content=packed(b"q " * 3_000_000 + PROSE)),
    "a form in itself": lambda: document(
        form(b"/X Do", b"/XObject << /X 6 0 R >>"), content=stream(b"/X Do")
    ),
    "forms that double, 12 levels": lambda: doubling_forms(12),
    "forms that double, 25 levels": lambda: doubling_forms(25),
    "pages in themselves": lambda: document(pages=b"<< /Type /Pages /Kids [2 0 R 2 0 R 3 0 R] /Count 3 >>"),
    "a page that is its own parent": lambda: document(
        page=b"<< /Type /Page /Parent 3 0 R /Contents 4 0 R >>"
    ),
    "a billion pages": lambda: document(pages=b"<< /Type /Pages /Kids [3 0 R] /Count 1000000000 >>"),
    "minus one page": lambda: document(pages=b"<< /Type /Pages /Kids [3 0 R] /Count -1 >>"),
    "a page 100,000 times": lambda: document(
        pages=b"<< /Type /Pages /Count 100000 /Kids [" + b"3 0 R " * 100_000 + b"] >>"
    ),
    "a tree of pages 100,000 deep": lambda: document(*[
        b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (7 + n if n < 99_999 else 3) for n in range(100_000)
    ], pages=b"<< /Type /Pages /Kids [6 0 R] /Count 1 >>"),
    "a huge page": lambda: document(page=page_with(b"/MediaBox [-1e38 -1e38 1e38 1e38]")),
    "a page of no size": lambda: document(page=page_with(b"/MediaBox [0 0 0 0]")),
    "a page of no numbers": lambda: document(page=page_with(b"/MediaBox [/A (b) null true]")),
    "units": lambda: document(page=page_with(b"/UserUnit 1e30 /Rotate 123456789 /MediaBox [0 0 9 9]")),
    "content that is a thousand parts": lambda: document(
        page=page_with(b"/MediaBox [0 0 595 842] /Contents [" + b"4 0 R " * 100_000 + b"]")
    ),
    "content that is the page": lambda: document(page=page_with(b"/Contents 3 0 R /MediaBox [0 0 9 9]")),
    "length of itself": lambda: claimed(b"4 0 R"),
    "length of 4 GiB": lambda: claimed(b"4294967295"),
    "negative length": lambda: claimed(b"-9"),
    "an object that is itself": lambda: document(b"6 0 R", content=b"6 0 R"),
    "outlines in themselves": lambda: document(
        b"<< /First 6 0 R /Last 6 0 R /Next 6 0 R /Parent 6 0 R /Title (a) /Count 9 >>",
        catalog=b"<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R >>",
    ),
    "names in themselves": lambda: document(
        b"<< /Kids [6 0 R] >>", catalog=b"<< /Type /Catalog /Pages 2 0 R /Names << /Dests 6 0 R >> >>"
    ),
    "table of objects in itself": lambda: document(trailer=b"/Prev 9"),
    "table that goes on in itself": lambda: (lambda plain: plain.replace(
        b"/Size 6", b"/Size 6 /Prev %d" % plain.rindex(b"xref\n0"))
    )(document()),
    "a billion objects": lambda: document().replace(b"/Size 6", b"/Size 1000000000"),
    "table of a billion entries": lambda: document().replace(b"xref\n0 6", b"xref\n0 1000000000"),
    "widths that are many": lambda: with_font(
        b"/FirstChar 0 /LastChar 2000000000 /Widths [" + b"600 " * 200_000 + b"]"
    ),
    "names of glyphs that are many": lambda: with_font(
        b"/Encoding << /Differences [" + b"0 /a " * 300_000 + b"] >>"
    ),
    "a map to Unicode of all": lambda: to_unicode(b"<00000000> <FFFFFFFF> <0041>"),
    "a map to Unicode of long texts": lambda: to_unicode(b"<00> <FF> <" + b"0041" * 10_000 + b">"),
    "a font for characters that is itself": lambda: document(
        font=b"<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /DescendantFonts [5 0 R] >>"
    ),
    "a glyph that shows itself": lambda: document(
        stream(b"0 0 9 9 9 9 d1 BT /F1 1 Tf (a) Tj ET"),
        font=b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 97 "
        b"/LastChar 97 /Widths [9] /CharProcs << /a 6 0 R >> /Encoding << /Differences [97 /a] >> "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
    ),
    "a JBIG2 image of nothing": lambda: document(content=stream(b"\0" * 9999, b"/Filter /JBIG2Decode")),
    "a JPEG image of 65,535 squared": lambda: document(
        stream(b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\1\1\x11\0" + bytes(99), b"/Subtype /Image "
        b"/Width 65535 /Height 65535 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /DCTDecode"),
        content=stream(b"/X Do " + PROSE),
    ),
    "encrypted with nothing": lambda: document(trailer=b"/Encrypt << /Filter /Standard /V 9 /R 9 >>"),
    "encrypted with itself": lambda: document(trailer=b"/Encrypt 1 0 R /ID [(a) (b)]"),
    "a key of 4 GiB": lambda: document(
        trailer=b"/Encrypt << /Filter /Standard /V 2 /R 3 /Length 4294967295 /O (a) /U (b) /P -4 >>"
    ),
    "hexadecimal without end": lambda: document(content=stream(b"BT /F1 9 Tf <" + b"41" * 1_000_000)),
    "brackets without end": lambda: document(content=stream(b"BT /F1 9 Tf " + b"(" * 500_000)),
    "names without end": lambda: document(content=stream(b"/" + b"A#41" * 500_000)),
    "numbers without end": lambda: document(content=stream(b"9" * 1_000_000 + b" Tj " + b"-" * 1_000_000)),
}  # fmt: skip
