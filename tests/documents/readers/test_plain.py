import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.readers.plain import decode
from bhasa.documents.records import Outcome, Refused

FRENCH = "L'été dernier, à la plage, nous avons mangé des crêpes. Où êtes-vous, garçon? Ça va très bien. " * 3
GERMAN = "Größe und Länge müssen übereinstimmen, sonst schlägt die Prüfung fehl. Straße, Äpfel, Öl. " * 3
RUSSIAN = "Модель сжимает последовательность в состояние фиксированного размера. " * 3
CHINESE = "状态空间模型把很长的序列压缩成固定大小的状态。今天天气很好，我们去公园散步，然后回家吃饭。" * 2  # noqa: RUF001
JAPANESE = (
    "東京の天気について質問すると、モデルは今までの会話の要約だけを使って答えます。カタカナとひらがな。" * 2
)


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_utf8_comes_back_as_it_was(text: str) -> None:
    # Not led by a byte order mark, which is no part of the text.
    assert decode(("x" + text).encode()) == ("x" + text, "utf-8")


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
def test_a_byte_order_mark_decides_and_goes(mark: bytes, encoding: str) -> None:
    assert decode(mark + CHINESE.encode(encoding)) == (CHINESE, encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "latin-1"),
        (FRENCH, "cp1252"),
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (CHINESE, "gb18030"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
    ],
)
def test_enough_text_in_a_legacy_encoding_is_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0] == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text\0with a NUL", "binary data"),
        ("UTF-16 without its mark".encode("utf-16-le"), "binary data"),
        (codecs.BOM_UTF16_LE + b"odd", "not the utf-16-le that its first bytes announce"),
        (codecs.BOM_UTF8 + b"\xff", "not the utf-8 that its first bytes announce"),
        ("café".encode("latin-1"), "unknown encoding"),
        (b"half a surrogate pair: \xed\xa0\x80", "unknown encoding"),
        (FRENCH.encode()[:-20] + b"\xff", "unknown encoding"),
        (b"cut in the middle of a character \xe2\x82", "unknown encoding"),
        (bytes(range(128, 256)) * 9, "unknown encoding"),
    ],
)
def test_what_is_not_certain_is_quarantined(content: bytes, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        decode(content)
    assert (caught.value.outcome, caught.value.reason) == (Outcome.QUARANTINED, reason)


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(content: bytes) -> None:
    try:
        text, _ = decode(content)
    except Refused:
        return
    text.encode()
