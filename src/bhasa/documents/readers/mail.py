"""Mail: one message (.eml) or a mailbox (.mbox), each message a text of its subject and its body.

The body is plain text where there is some, else HTML. Attached texts and messages are texts of their own;
other attachments are named as skipped. Addresses are left out; messages of one thread are of one group.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.utils import parsedate_to_datetime

from bhasa.documents.readers.charsets import decode_declared
from bhasa.documents.readers.flowed import unflowed
from bhasa.documents.readers.hypertext import layout_html, read_html
from bhasa.documents.readers.page import MAX_META
from bhasa.documents.records import Outcome, Refused, Text, quarantined

SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\n]{0,300}\d\d:\d\d[^\n]{0,100}\n")
ESCAPED_SEPARATOR = re.compile(rb"^>(>*From )", re.MULTILINE)
TYPE_HEADER = re.compile(
    rb"(?:\A|[\r\n])content-(?:type|disposition):[^\r\n]*(?:(?:\r\n|\r|\n)[ \t][^\r\n]*)*", re.I
)
MAX_TYPE_HEADER = 10_000  # bytes; `email` takes quadratic time for their parameters
MAX_COMPARISONS = 20_000_000  # of lines with boundaries: each with those of all parts around it
MAX_PARTS = 100_000
MAX_HEADER = 1000  # characters that are read of another header
EXPECTED = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "received",
    "content-type",
    "mime-version",
    "sender",
}
ENCRYPTED = {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
MESSAGE = "message/rfc822"
MAX_NAME = 100  # characters of an attachment's


def read(content: bytes, name: str) -> Iterator[Text | Refused]:
    if not name.lower().endswith(".mbox"):
        yield from _message(content, "")
        return
    starts = [(found.start(), found.end()) for found in SEPARATOR.finditer(content)]
    if not starts:
        raise quarantined("mailbox without a message")
    ends = [start for start, _ in starts[1:]] + [len(content)]
    for number, ((_, begin), end) in enumerate(zip(starts, ends, strict=True), start=1):
        part = f"message {number}"
        try:
            yield from _message(ESCAPED_SEPARATOR.sub(rb"\1", content[begin:end]), part)
        except Refused as refused:
            yield Refused(refused.outcome, refused.reason, part)


def _message(content: bytes, part: str) -> Iterator[Text | Refused]:
    try:
        yield from _texts(_parse(content), part)
    except (Refused, MemoryError):
        raise
    except Exception as error:  # any fault of the library is of this message alone
        raise quarantined(f"broken mail ({type(error).__name__})") from None


def _parse(content: bytes) -> Message:
    lines = content.count(b"\n") + content.count(b"\r")
    comparisons = lines * content.lower().count(b"boundary=")
    if comparisons > MAX_COMPARISONS or content.count(b"\n--") > MAX_PARTS:
        raise quarantined("mail with too many parts")
    if any(len(header.group()) > MAX_TYPE_HEADER for header in TYPE_HEADER.finditer(content)):
        raise quarantined("mail with a header that is too long")
    message = BytesParser().parsebytes(content)
    if EXPECTED.isdisjoint(name.lower() for name in message):
        raise quarantined("no mail")
    return message


def _texts(message: Message, part: str) -> Iterator[Text | Refused]:
    """Of a message and of those attached to it, also to one another."""
    messages = [message]
    for number, one in enumerate(messages):  # which grows
        content = _Content(one, f"{part} attached message {number}".strip() if number else part)
        messages += content.messages
        yield content.text()
        yield from content.attached


class _Content:
    """What the parts of one message turn out to be."""

    def __init__(self, message: Message, part: str) -> None:
        self.attached: list[Text | Refused] = []
        self.messages: list[Message] = []
        self._message, self._part = message, part
        self._thread = _thread(message)
        self._body: list[str] = []
        self._add_parts()

    def text(self) -> Text | Refused:
        subject = _header(self._message, "subject")
        text = "\n\n".join(filter(None, [subject, *self._body]))
        if not text:
            return quarantined("mail without text", self._part)
        meta = {"title": subject[:MAX_META], "date": _date(self._message)}
        meta = {key: value for key, value in meta.items() if value}
        return Text(text, meta, group=self._thread, part=self._part)

    def _add_parts(self) -> None:
        waiting = [self._message]
        while waiting:
            one = waiting.pop()
            kind = one.get_content_type()
            if kind in ENCRYPTED:
                raise quarantined("encrypted mail")
            if not one.is_multipart():
                self._add_leaf(one)
            elif kind == MESSAGE:
                self.messages += _parts(one)
            elif kind == "multipart/alternative":
                waiting += _best(_parts(one))
            else:
                waiting += reversed(_parts(one))

    def _add_leaf(self, leaf: Message) -> None:
        name = leaf.get_filename()
        is_text = leaf.get_content_maintype() in ("text", "multipart")  # the second without its boundary
        if is_text and name is None and leaf.get_content_disposition() != "attachment":
            self._body.append(_text(leaf))
            return
        shown = "".join(filter(str.isprintable, " ".join(_decoded(name or leaf.get_content_type()).split())))
        part = f"{self._part} attachment {shown[-MAX_NAME:]}".strip()
        if not is_text:
            self.attached.append(Refused(Outcome.SKIPPED, "attachment that is no text", part))
            return
        try:
            self.attached.append(
                Text(_text(leaf), group=self._thread, part=part, media_type=leaf.get_content_type())
            )
        except Refused as refused:
            self.attached.append(Refused(refused.outcome, refused.reason, part))


def _parts(message: Message) -> list[Message]:
    return [part for part in message.get_payload() if isinstance(part, Message)]


def _best(alternatives: list[Message]) -> list[Message]:
    """Plain text if it says anything, else the richest, which comes last; at most one."""
    for one in alternatives:
        if one.get_content_type() == "text/plain" and not one.is_multipart() and _text(one):
            return [one]
    readable = [one for one in alternatives if one.is_multipart() or one.get_content_maintype() == "text"]
    return (readable or alternatives)[-1:]


def _text(leaf: Message) -> str:
    payload = leaf.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    charset = leaf.get_content_charset()
    if leaf.get_content_type() == "text/html":
        found = layout_html(decode_declared(content, charset).text) if charset else read_html(content)
        return found.text
    text = decode_declared(content, charset).text.replace("\r\n", "\n")
    if str(leaf.get_param("format", "")).lower() == "flowed":
        text = unflowed(text, delete_spaces=str(leaf.get_param("delsp", "")).lower() == "yes")
    return text.strip("\n")


def _header(message: Message, name: str) -> str:
    """On one line; empty where it is missing."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name), "")
    return " ".join(_decoded(raw).split())


def _decoded(raw: str) -> str:
    """With its encoded words; what is no ASCII outside them is guessed, as in a body."""
    raw = raw[:MAX_HEADER]
    try:
        words = decode_header(decode_declared(raw.encode(errors="surrogateescape"), None).text)
        decoded = [
            decode_declared(one, charset).text if isinstance(one, bytes) else one for one, charset in words
        ]
    except (HeaderParseError, Refused):
        return ""
    return "".join(decoded)


def _date(message: Message) -> str:
    try:
        return parsedate_to_datetime(_header(message, "date")[:100]).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""


def _thread(message: Message) -> str:
    """The id of the message that a thread began with."""
    for name in ("references", "in-reply-to", "message-id"):
        if ids := _header(message, name).split():
            return ids[0][:MAX_META]
    return ""
