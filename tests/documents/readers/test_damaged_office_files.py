"""Files that are cut, flipped or whose mark-up is shuffled are read or refused, and nothing else happens."""

import io
import random
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bhasa.documents.readers import READERS
from bhasa.documents.records import Refused, Text
from tests.documents.readers.office_files import docx, epub, odt, paragraph, pptx, shape, zipped
from tests.documents.readers.test_docx import NUMBERING, item
from tests.documents.readers.test_planted import DOCX, HTML, ODT, mail_of, notebook_of

VALUES = ("", "-1", "0", "2", "99999999999", "x")
TAG = re.compile(r"(<[^<>]*>)")
NOTE = f'<w:footnote w:id="1">{paragraph("note")}</w:footnote>'
SAMPLES = {
    ".html": HTML.encode(),
    ".eml": mail_of(HTML),
    ".ipynb": notebook_of("a\nb\nc"),
    ".vtt": b"WEBVTT\n\n1\n00:01.000 --> 00:02.000\n<i>a</i>\nb\n\n2\n00:02.000 --> 00:03.000\nb\nc\n",
    ".rtf": rb"{\rtf1{\fonttbl{\f1\fcharset204 A;}}\trowd a\cell\row{\footnote n}\par\u1076?\'e9{\f1 x}}",
    ".epub": epub({"a": HTML, "b": "<p>b</p>"}),
    ".docx": docx(DOCX + item("x") + item("y", 1), numbering=NUMBERING, footnotes=NOTE),
    ".odt": odt(ODT),
    ".pptx": pptx([shape("a", "b") + shape("c"), shape("d")], {0: shape("notes")}),
}


def cut_or_flipped(content: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        return content[: chance.randrange(len(content))]
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 5, 50))):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged)


def shuffled(markup: str, chance: random.Random) -> str:
    pieces = TAG.split(markup)
    for _ in range(chance.choice((1, 3, 10))):
        place, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
        match chance.randrange(3):
            case 0:
                pieces[place] = ""
            case 1:
                pieces[place], pieces[other] = pieces[other], pieces[place]
            case 2:
                pieces.insert(place, pieces[other])
    return "".join(pieces)


def rearranged(xml: bytes, chance: random.Random) -> bytes:
    """Still well formed."""
    root = ElementTree.fromstring(xml)
    for _ in range(chance.choice((1, 3, 10))):
        nodes = list(root.iter())
        one, other = chance.choice(nodes), chance.choice(nodes)
        match chance.randrange(5):
            case 0 if len(one):
                one.remove(chance.choice(list(one)))
            case 1:
                one.append(ElementTree.fromstring(ElementTree.tostring(other)))
            case 2:
                one.tag = other.tag
            case 3:
                one.attrib = {key: chance.choice(VALUES) for key in (*one.attrib, *other.attrib)}
            case 4:
                one.text = other.text
    return ElementTree.tostring(root)


def inside(content: bytes, chance: random.Random) -> bytes:
    """A member of a zip file, or a file of text, with its mark-up in another order."""
    if not content.startswith(b"PK"):
        return shuffled(content.decode(), chance).encode()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
        chosen = chance.choice([name for name in parts if name != "mimetype"])
        part = archive.read(chosen)
    try:
        parts[chosen] = rearranged(part, chance)
    except ElementTree.ParseError:  # HTML in an EPUB
        parts[chosen] = shuffled(part.decode(), chance)
    return zipped(parts)


def damaged(content: bytes, count: int) -> Iterator[bytes]:
    chance = random.Random(count)
    for number in range(count):
        yield inside(content, chance) if number % 3 else cut_or_flipped(content, chance)


def check(suffix: str, count: int) -> None:
    for content in damaged(SAMPLES[suffix], count):
        with suppress(Refused):
            for record in READERS[suffix].read(content, f"a{suffix}"):
                assert isinstance(record, Text | Refused)


@pytest.mark.parametrize("suffix", SAMPLES)
def test_damaged_files_are_read_or_refused(suffix: str) -> None:
    check(suffix, 60)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SAMPLES)
def test_many_damaged_files_are_read_or_refused(suffix: str) -> None:
    check(suffix, 1500)
