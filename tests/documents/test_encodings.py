import codecs
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.encodings import decode
from bhasa.documents.records import Outcome, Refused

FRENCH = "L'été dernier, à la plage, nous avons mangé des crêpes. Où êtes-vous, garçon? Ça va très bien. "
GERMAN = "Größe und Länge müssen übereinstimmen, sonst schlägt die Prüfung fehl. Straße, Äpfel, Öl. "
TURKISH = "Şu güzel ağaç, İstanbul'un kışında yeşil değildi; çünkü yağmur yağıyordu. "  # noqa: RUF001
HUNGARIAN = "Őrült írók űrhajót építettek, és tűzön-vízen át repültek a csillagokhoz. "
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy, šťastný člověk žil v Čechách. "
POLISH = "Zażółć gęślą jaźń, a potem odpocznij przy źródle, bo dzień był długi i gorący. "
RUSSIAN = "Модель сжимает последовательность в состояние фиксированного размера. "
BULGARIAN = "Всички хора се раждат свободни и равни по достойнство и права, надарени с разум. "  # noqa: RUF001
GREEK = "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. "  # noqa: RUF001
HEBREW = "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם, כולם חוננו בתבונה ובמצפון. "
ARABIC = "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق، وقد وهبوا عقلا وضميرا. "
THAI = "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม "
CHINESE = "状态空间模型把很长的序列压缩成固定大小的状态。今天天气很好，我们去公园散步，然后回家吃饭。"  # noqa: RUF001
TAIWAN = "狀態空間模型把很長的序列壓縮成固定大小的狀態。今天天氣很好，我們去公園散步，然後回家吃飯。"  # noqa: RUF001
JAPANESE = (
    "東京の天気について質問すると、モデルは今までの会話の要約だけを使って答えます。カタカナとひらがな。"
)
KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 날씨가 좋아서 산책을 했다. "

UNICODE = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
LEGACY = {
    FRENCH: ("latin-1", "cp1252", "cp850", "mac-roman", "cp037"),
    GERMAN: ("latin-1", "cp1252", "cp437", "mac-roman", "cp500"),
    TURKISH: ("cp1254", "iso-8859-9", "cp857"),
    HUNGARIAN: ("cp1250", "iso-8859-2", "cp852"),
    CZECH: ("cp1250", "iso-8859-2", "cp852"),
    POLISH: ("cp1250", "iso-8859-2", "cp852"),
    RUSSIAN: ("cp1251", "koi8-r", "cp866", "iso-8859-5", "mac-cyrillic", "cp855"),
    BULGARIAN: ("cp1251", "iso-8859-5"),
    GREEK: ("cp1253", "iso-8859-7", "cp737"),
    HEBREW: ("cp1255", "iso-8859-8"),
    ARABIC: ("cp1256", "iso-8859-6"),
    THAI: ("tis-620", "cp874"),
    CHINESE: ("gb2312", "gbk", "gb18030", "hz"),
    TAIWAN: ("big5", "cp950"),
    JAPANESE: ("shift_jis", "cp932", "euc_jp", "iso2022_jp"),
    KOREAN: ("euc_kr", "cp949", "iso2022_kr"),
}
CASES = [
    (f"{text}\n" * 10, encoding) for text, encodings in LEGACY.items() for encoding in (*encodings, *UNICODE)
]


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_utf8_comes_back_as_it_was(text: str) -> None:
    # Not led by a byte order mark, which is no part of the text, and with a letter that is in no 7-bit code.
    assert decode(("xé" + text).encode()) == ("xé" + text, "utf-8", 0)


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        ("\ufeff".encode("gb18030"), "gb18030"),
    ],
)
def test_a_byte_order_mark_decides_and_goes(mark: bytes, encoding: str) -> None:
    assert decode(mark + CHINESE.encode(encoding)) == (CHINESE, encoding, 0)


@pytest.mark.parametrize(("text", "encoding"), CASES, ids=lambda value: value[:12].strip())
def test_enough_text_in_any_encoding_is_recognised(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding))[0::2] == (text, 0)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Die Straße ist schön. " * 10, "latin-1"),
        ("┌────────┐\n│ A box  │ drawn around words in English\n└────────┘\n" * 10, "cp437"),
        ("Příliš žluťoučký kůň. Zürich, 30 + 12 = 42. " * 10, "utf-7"),
        ("Deux mots: café crème", "cp1252"),
    ],
)
def test_these_too(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)).text == text


def test_iso_2022_cn_for_which_python_has_no_codec() -> None:
    shifted = bytes(byte & 0x7F for byte in CHINESE.encode("gb2312"))
    assert decode(b"\x1b$)A\x0e" + shifted + b"\x0f plain") == (CHINESE + " plain", "iso2022_cn", 0)


@pytest.mark.parametrize(
    "content",
    [
        b"\x1b[31merror\x1b[0m: no such file\n" * 10,
        b"total = first+second-third  # +ABC-\ncd ~{a,b}; echo ~{c,d}\n" * 10,
        b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n+added-\n" * 10,
    ],
    ids=["colours", "code", "diff"],
)
def test_ascii_that_resembles_a_7_bit_code_stays(content: bytes) -> None:
    assert decode(content) == (content.decode(), "utf-8", 0)


@pytest.mark.parametrize(
    ("content", "replaced"),
    [
        (("naïve café text goes on " * 50).encode()[:-1] + b"\xc3", 1),
        (FRENCH.encode() + b"\xff", 1),
        (FRENCH.encode() + b"\xff\xfe\x80" + FRENCH.encode() * 4, 3),
        (b"cut in the middle of a character \xe2\x82", 1),
        (GERMAN.encode("utf-16")[:-1], 1),
    ],
)
def test_a_few_bad_bytes_are_replaced_and_counted(content: bytes, replaced: int) -> None:
    decoded = decode(content)
    assert decoded.encoding in ("utf-8", "utf-16-le")
    assert decoded.replaced == decoded.text.count("\ufffd") == replaced


@given(place=st.integers(0, 9_000), byte=st.integers(128, 255))
def test_one_bad_byte_never_loses_a_utf8_text(place: int, byte: int) -> None:
    content = bytearray((FRENCH * 100).encode())
    content[place] = byte
    decoded = decode(bytes(content))
    assert decoded.encoding == "utf-8"
    assert decoded.replaced <= 2


def test_what_no_code_page_explains_in_a_long_ascii_text_is_replaced() -> None:
    decoded = decode(b"A line of plain words.\n" * 2000 + b"\x81 \x9d\n")
    assert decoded.replaced == 2
    assert decoded.text.endswith("words.\n\ufffd \ufffd\n")


def test_replacement_characters_that_were_there_are_not_counted() -> None:
    assert decode("an old � and a new ".encode() * 9 + b"\xff").replaced == 1


def test_blocks_of_nul_in_a_log_are_left_out() -> None:
    assert decode(b"one line\n" + bytes(4096) + b"the next\n").text == "one line\nthe next\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text\0with a NUL", "binary data"),
        (bytes(range(256)) * 20, "binary data"),
        (bytes(4096), "binary data"),
        (b"\0\1\2\3" * 99, "binary data"),
        (b"\0\1" * 300, "binary data"),
        (codecs.BOM_UTF16_LE + b"odd", "not the utf-16-le that its first bytes announce"),
        (codecs.BOM_UTF8 + b"\xff", "not the utf-8 that its first bytes announce"),
        (b"hello \xed\xa0\x80 world " * 20, "UTF-8 that is too damaged"),
        (b"hello \xc0\xaf\xf5\x80\x80\x80 world " * 20, "UTF-8 that is too damaged"),
        (b"\x81\x8d\x90", "unknown encoding"),
        (b"\x1b$)G\x0eDaBb\x0f", "unknown encoding"),
    ],
)
def test_what_is_not_certain_is_quarantined(content: bytes, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        decode(content)
    assert (caught.value.outcome, caught.value.reason) == (Outcome.QUARANTINED, reason)


def damaged(content: bytes, kind: str) -> bytes:
    place = random.Random(kind).randrange(len(content) // 4, len(content) // 2)
    return {
        "cut": content[: len(content) - 1],
        "stray": content[:place] + b"\xff" + content[place:],
        "swapped": content[:place] + content[place : place + 2][::-1] + content[place + 2 :],
        "nul": content[:place] + b"\0" + content[place:],
    }[kind]


def test_300_damaged_texts_are_decoded_or_refused_with_a_reason() -> None:
    kinds = ("cut", "stray", "swapped", "nul")
    outcomes: Counter[str] = Counter()
    for text, encoding in CASES:
        for kind in kinds:
            try:
                decoded = decode(damaged(text.encode(encoding), kind))
            except Refused as refusal:
                outcomes["refused" if refusal.reason else "refused without a reason"] += 1
                continue
            decoded.text.encode()
            lines = decoded.text.split("\n")
            outcomes["decoded" if lines.count(text.split("\n")[0]) >= 8 else "garbage"] += 1
    assert outcomes.total() >= 300
    assert outcomes["refused without a reason"] == 0
    assert outcomes["garbage"] <= 0.01 * outcomes.total(), outcomes
    assert outcomes["decoded"] >= 0.5 * outcomes.total(), outcomes


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused(content: bytes) -> None:
    try:
        decoded = decode(content)
    except Refused:
        return
    decoded.text.encode()


def test_a_guess_opens_no_file(tmp_path: Path) -> None:
    """Every model is loaded by the import, since readers run where no file can be opened."""
    contents = [text.encode(encoding) for text, encoding in CASES]
    contents += [content + b"\xff" for content in contents]
    (tmp_path / "contents.json").write_text(json.dumps([content.hex() for content in contents]))
    program = (
        "import json, sys\n"
        "from bhasa.documents.encodings import decode\n"
        "from bhasa.documents.records import Refused\n"
        "from bhasa.documents.sandbox import Sandbox\n"
        "contents = [bytes.fromhex(one) for one in json.load(open(sys.argv[1]))]\n"
        "sandbox = Sandbox()\n"
        "for content in contents:\n"
        "    try:\n"
        "        decode(content)\n"
        "    except Refused:\n"
        "        pass\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "contents.json")], check=True)
