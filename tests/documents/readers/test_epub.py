import pytest

from bhasa.documents.readers.epub import read
from bhasa.documents.records import Refused, Text
from tests.documents.readers.office_files import epub

METADATA = (
    "<dc:title>A  b</dc:title><dc:title>other</dc:title><dc:language>en</dc:language><dc:date>99</dc:date>"
)


def test_chapters_come_in_the_order_of_the_spine_with_what_is_known_of_the_book() -> None:
    book = epub(
        {"b.xhtml": "<h1>Second</h1>", "a%20c.xhtml": "<p>Wrong</p>"},
        metadata=METADATA,
        spine='<itemref idref="a%20c.xhtml"/><itemref idref="b.xhtml"/>',
        more={"OEBPS/a c.xhtml": "<html><body>First</body></html>"},
    )
    (found,) = read(book, "book.epub")
    assert found == Text("First\n\nSecond", {"title": "A b", "language": "en", "date": "99"})


def test_pictures_and_the_list_of_contents_are_left_out() -> None:
    items = {"b": 'properties="nav"', "c": 'media-type="image/jpeg"', "d": 'media-type="image/svg+xml"'}
    manifest = "".join(f'<item id="{name}" href="{name}" {kind}/>' for name, kind in items.items())
    spine = "".join(f'<itemref idref="{name}"/>' for name in "abcd")
    pages = {f"OEBPS/{name}": f"<svg><text>text of {name}</text></svg>" for name in items}
    (found,) = read(epub({"a": "first"}, metadata=manifest, spine=spine, more=pages), "book.epub")
    assert isinstance(found, Text)
    assert found.text == "first\n\ntext of d"


def test_notes_in_a_window_are_kept_and_entities_resolved() -> None:
    (found,) = read(epub({"a": 'x<aside epub:type="footnote" hidden="">n &amp; m</aside>'}), "book.epub")
    assert found.text == "x\nn & m"


def test_a_missing_chapter_is_named_and_the_rest_is_read() -> None:
    book = epub(
        {"a": "first", "b": "second"}, spine='<itemref idref="a"/><itemref idref="no"/><itemref idref="b"/>'
    )
    refused, found = read(book, "book.epub")
    assert isinstance(refused, Refused)
    assert (refused.part, refused.reason) == ("chapter 2", "document without a part that it needs")
    assert isinstance(found, Text)
    assert found.text == "first\n\nsecond"


@pytest.mark.parametrize(("target", "is_refused"), [("OEBPS/a", True), ("OEBPS/font.otf", False)])
def test_an_encrypted_chapter_makes_the_book_unreadable_and_a_scrambled_font_does_not(
    target: str, is_refused: bool
) -> None:
    listing = f'<encryption><EncryptedData><CipherReference URI="{target}"/></EncryptedData></encryption>'
    book = epub({"a": "text"}, more={"META-INF/encryption.xml": listing})
    if is_refused:
        with pytest.raises(Refused, match="encrypted EPUB"):
            list(read(book, "book.epub"))
    else:
        assert [record.text for record in read(book, "book.epub") if isinstance(record, Text)] == ["text"]
