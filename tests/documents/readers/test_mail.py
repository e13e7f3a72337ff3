from email.message import EmailMessage

import pytest

from bhasa.documents.readers.flowed import unflowed
from bhasa.documents.readers.mail import read
from bhasa.documents.records import Outcome, Refused, Text

FLOWED = 'Content-Type: text/plain; format="flowed"'


def one(content: str | bytes) -> Text:
    (found,) = read(content if isinstance(content, bytes) else content.encode(), "a.eml")
    assert isinstance(found, Text)
    return found


def message(subject: str = "", text: str = "") -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = subject
    made["From"] = "somebody@example.com"
    made.set_content(text)
    return made


def test_subject_and_body_are_the_text_and_addresses_are_not() -> None:
    made = message("Hello w\xf6rld", "first\n\nsecond line\n")
    made["Date"] = "Fri, 31 Dec 1999 23:59:00 +0100"
    found = one(made.as_bytes())
    assert found.text == "Hello w\xf6rld\n\nfirst\n\nsecond line"
    assert found.meta == {"title": "Hello w\xf6rld", "date": "1999-12-31T23:59:00+01:00"}


def test_plain_text_is_preferred_and_html_is_read_where_it_says_nothing() -> None:
    both = message("s", "plain")
    both.add_alternative("<p>html</p>", subtype="html")
    assert one(both.as_bytes()).text == "s\n\nplain"
    empty = message("s", "\n")
    empty.add_alternative("<ol><li>one<li>two</ol>", subtype="html")
    assert one(empty.as_bytes()).text == "s\n\n1. one\n2. two"


@pytest.mark.parametrize(
    ("header", "body", "text"),
    [
        ("Content-Type: text/plain; charset=iso-8859-2", "kůň".encode("iso-8859-2"), "kůň"),
        ("Content-Type: text/plain; charset=us-ascii", "kůň".encode(), "kůň"),
        ("Content-Type: text/plain; charset=nonsense", "kůň".encode(), "kůň"),
        ("Content-Type: text/plain; charset=iso-2022-jp", "日本語".encode("iso-2022-jp"), "日本語"),
        ("Content-Type: text/plain; charset=ks_c_5601-1987", "안녕".encode("cp949"), "안녕"),
        ("Content-Transfer-Encoding: quoted-printable", b"a=\nb =C3=A9", "ab é"),
        ("Content-Transfer-Encoding: base64", b"dGV4dA==", "text"),
        ("Content-Type: text/html", "<meta charset=koi8-r>да".encode("koi8-r"), "да"),
        (FLOWED, b"one \ntwo\n\n> q \n> r\n-- \nme", "one two\n\n> q r\n-- \nme"),
        ("Content-Type: multipart/mixed", b"no boundary", "no boundary"),
    ],
)
def test_bodies_are_decoded(header: str, body: bytes, text: str) -> None:
    assert one(f"Subject: s\n{header}\n\n".encode() + body).text == f"s\n\n{text}"


def test_headers_are_decoded_also_where_they_are_not_as_they_should_be() -> None:
    split = "=?utf-8?B?4oKs?= =?utf-8?Q?=E2=82=AC_x?=\n =?iso-8859-1?q?=E9?="
    assert one(f"Subject: {split}\n\n").meta["title"] == "\u20ac\u20ac x\xe9"
    assert one("Subject: caf\xe9\n\n").meta["title"] == "caf\xe9"
    assert one("Subject: =?utf-8?B?a?=\nDate: nonsense\n\nx").meta.keys() <= {"title"}


def test_attached_texts_and_messages_are_records_and_other_attachments_are_named() -> None:
    made = message("s", "body")
    made["Message-ID"] = "<1@x>"
    made.add_attachment("notes", filename="n\xf6tes.txt")
    made.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="a.png")
    made.add_attachment(message("inner", "text of it"))
    body, notes, image, inner = read(made.as_bytes(), "a.eml")
    assert (body, notes) == (
        Text("s\n\nbody", {"title": "s"}, group="<1@x>"),
        Text("notes", group="<1@x>", part="attachment n\xf6tes.txt", media_type="text/plain"),
    )
    assert isinstance(image, Refused)
    assert (image.outcome, image.reason) == (Outcome.SKIPPED, "attachment that is no text")
    assert image.part == "attachment a.png"
    assert inner == Text("inner\n\ntext of it", {"title": "inner"}, part="attached message 1")


def test_messages_of_a_thread_are_of_one_group() -> None:
    first = "Message-ID: <1@x>\n\na"
    answer = "Message-ID: <2@x>\nIn-Reply-To: <1@x>\n\nb"
    third = "Message-ID: <3@x>\nIn-Reply-To: <2@x>\nReferences: <1@x>\n <2@x>\n\nc"
    assert [one(mail).group for mail in (first, answer, third)] == ["<1@x>"] * 3


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_mailbox_is_cut_at_its_separators_alone(end: str) -> None:
    separator = "From somebody@example.com Fri Dec 31 23:59:00 1999\n"
    broken = "Subject: b\nContent-Type: multipart/encrypted; boundary=x\n\n--x--\n"
    messages = ["Subject: a\n\n>From the start\n>>From here\n\nFrom now on\n", broken, "Subject: c\n\nd\n"]
    mailbox = "\n".join(separator + text for text in messages).replace("\n", end)
    first, second, third = read(mailbox.encode(), "a.mbox")
    assert isinstance(first, Text)
    assert (first.text, first.part) == ("a\n\nFrom the start\n>From here\n\nFrom now on", "message 1")
    assert isinstance(second, Refused)
    assert (second.reason, second.part) == ("encrypted mail", "message 2")
    assert isinstance(third, Text)
    assert (third.text, third.part) == ("c\n\nd", "message 3")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no mail"),
        (b"just text", "no mail"),
        (b"Subject:\n\n\n", "mail without text"),
        (b"Content-Type: application/pkcs7-mime\n\nxx", "encrypted mail"),
        (b"Content-Type: text/plain; x=" + b'";' * 9000 + b"\n\nx", "header that is too long"),
        (b"Subject: x\rContent-Type: text/plain; x=" + b'";' * 9000 + b"\r\rx", "header that is too long"),
        (b"Content-Type: text/plain; x=" + b'";\r\n\t' * 3000 + b"\n\nx", "header that is too long"),
        (b"Subject: x\n\n" + b"boundary=\n" * 5000, "too many parts"),
        (b"Subject: x\n\n" + b"--b\n" * 100_001, "too many parts"),
    ],
)
def test_what_cannot_be_read_is_refused(content: bytes, reason: str) -> None:
    try:
        (found,) = read(content, "a.eml")
    except Refused as refused:
        found = refused
    assert isinstance(found, Refused)
    assert reason in found.reason


def test_deep_nesting_is_read_or_refused() -> None:
    nested = b"Subject: x\n"
    for depth in range(190):
        nested += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (depth, depth)
    assert list(read(nested + b"\ntext", "a.eml"))
    forwarded = b"Content-Type: message/rfc822\n\n" * 5000 + b"Subject: x\n\ny"
    with pytest.raises(Refused, match=r"broken mail \(RecursionError\)"):
        list(read(forwarded, "a.eml"))


def test_a_mailbox_without_a_message_is_refused() -> None:
    with pytest.raises(Refused, match="mailbox without a message"):
        list(read(b"Subject: x\n\ny", "a.mbox"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a \nb", "a b"),
        ("a\nb", "a\nb"),
        ("> a \n> b\nc", "> a b\nc"),
        ("> a \n>> b", "> a \n>> b"),
        (" >not quoted", ">not quoted"),
        ("a \n-- \nsig", "a \n-- \nsig"),
        ("", ""),
    ],
)
def test_flowed_lines_are_joined(text: str, expected: str) -> None:
    assert unflowed(text) == expected


def test_the_space_goes_where_it_only_said_that_the_line_goes_on() -> None:
    assert unflowed("\u6f22 \n\u5b57", delete_spaces=True) == "\u6f22\u5b57"
