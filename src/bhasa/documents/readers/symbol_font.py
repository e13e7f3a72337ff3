"""Characters of the font Symbol, which Word names by their place in it (Adobe's encoding of that font)."""

from __future__ import annotations

UPPER = (
    "\u0391\u0392\u03a7\u0394\u0395\u03a6\u0393\u0397\u0399\u03d1\u039a\u039b\u039c"
    "\u039d\u039f\u03a0\u0398\u03a1\u03a3\u03a4\u03a5\u03c2\u03a9\u039e\u03a8\u0396"
)
LOWER = (
    "\u03b1\u03b2\u03c7\u03b4\u03b5\u03c6\u03b3\u03b7\u03b9\u03d5\u03ba\u03bb\u03bc"
    "\u03bd\u03bf\u03c0\u03b8\u03c1\u03c3\u03c4\u03c5\u03d6\u03c9\u03be\u03c8\u03b6"
)
PLACES = {
    **dict(enumerate(UPPER, start=ord("A"))),
    **dict(enumerate(LOWER, start=ord("a"))),
    **{0x22: "\u2200", 0x24: "\u2203", 0xA2: "\u2032", 0xA3: "\u2264", 0xA5: "\u221e", 0xAB: "\u2194"},
    **{0xAC: "\u2190", 0xAE: "\u2192", 0xB0: "\xb0", 0xB1: "\xb1", 0xB2: "\u2033", 0xB3: "\u2265"},
    **{0xB4: "\xd7", 0xB6: "\u2202", 0xB7: "\u2022", 0xB8: "\xf7", 0xB9: "\u2260", 0xBA: "\u2261"},
    **{0xBB: "\u2248", 0xBC: "\u2026", 0xC4: "\u2297", 0xC5: "\u2295", 0xC6: "\u2205", 0xC7: "\u2229"},
    **{0xC8: "\u222a", 0xCC: "\u2282", 0xCD: "\u2286", 0xCE: "\u2208", 0xD1: "\u2207", 0xD5: "\u220f"},
    **{0xD6: "\u221a", 0xDB: "\u21d4", 0xDE: "\u21d2", 0xE5: "\u2211", 0xF2: "\u222b"},
}
PRIVATE = range(0xE000, 0xF900)


def symbol(font: str, place: str) -> str:
    """Empty for a picture of a font such as Wingdings, which is no character of Unicode."""
    try:
        code = int(place, 16)
    except ValueError:
        return ""
    if font == "Symbol":
        code &= 0xFF
        return PLACES.get(code, chr(code) if 0x20 <= code < 0x7F else "")
    return chr(code) if 0x20 <= code < 0xD800 or PRIVATE.stop <= code < 0xFFFE else ""
