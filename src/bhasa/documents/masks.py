"""Personal data and secrets are replaced where asked: `MASKS` maps a name in `ingest.mask` to what is found.

What takes the place of a value is numbered by the order of first occurrence in the document, equal values
being one, so that it depends on the document alone; masking a masked text changes nothing. Every expression
has bounds, so that no text takes more than time in proportion to it. The shapes of secrets are those that
their makers document, as collected by gitleaks and detect-secrets.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Mask = Literal["emails", "ip-addresses", "phone-numbers", "secrets"]


@dataclass(frozen=True)
class Pattern:
    sign: re.Pattern[str]
    """What a text must have at all, quickly found."""
    shape: re.Pattern[str]
    placeholder: Callable[[str, int], str]
    """Of a value and its number, from 1 on."""
    is_one: Callable[[str], bool] = lambda value: True
    """Whether what has the shape is one."""


class Masked(NamedTuple):
    text: str
    counts: dict[str, int]
    """Replaced occurrences by name, of those that occurred."""


def masked(text: str, names: tuple[Mask, ...]) -> Masked:
    counts = {}
    for name in names:
        text, count = _replaced(text, MASKS[name])
        if count:
            counts[str(name)] = count
    return Masked(text, counts)


def _replaced(text: str, pattern: Pattern) -> tuple[str, int]:
    if not pattern.sign.search(text):
        return text, 0
    numbers: dict[str, int] = {}
    count = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal count
        if not pattern.is_one(match[0]):
            return match[0]
        count += 1
        return pattern.placeholder(match[0], numbers.setdefault(match[0], len(numbers) + 1))

    return pattern.shape.sub(replace, text), count


def _is_public_address(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).is_global
    except ValueError:
        return False


def _reserved_address(value: str, number: int) -> str:
    """An address that is set aside for documentation: RFC 5737 and RFC 3849."""
    if ":" in value:
        return f"2001:db8::{number:x}"
    networks = ("192.0.2", "198.51.100", "203.0.113")
    return f"{networks[number // 256 % 3]}.{number % 256}"


def _is_phone_number(value: str) -> bool:
    return 8 <= sum(character.isdecimal() for character in value) <= 15  # ITU E.164


SECRETS = (
    r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])",  # Amazon
    r"gh[pousr]_[A-Za-z0-9]{36,255}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,255}",
    r"glpat-[A-Za-z0-9_-]{20,64}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,250}",  # Slack
    r"https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,100}",
    r"AIza[A-Za-z0-9_-]{35}",  # Google
    r"ya29\.[A-Za-z0-9_-]{20,500}",
    r"[rs]k_live_[A-Za-z0-9]{20,250}",  # Stripe
    r"sk-(?:proj-|ant-)?[A-Za-z0-9_-]{32,250}",  # OpenAI, Anthropic
    r"hf_[A-Za-z0-9]{34}",  # Hugging Face
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-AgE[A-Za-z0-9_-]{50,500}",
    r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",  # SendGrid
    r"eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{10,1000}",  # JSON Web Token
    r"-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY(?: BLOCK)?-----[^-]{1,20000}(?:-[^-]{1,200}){0,8}"
    r"-----END (?:[A-Z]{2,10} )?PRIVATE KEY(?: BLOCK)?-----",
)

MASKS: dict[Mask, Pattern] = {
    "emails": Pattern(
        re.compile("@"),
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
        lambda _, number: f"user{number}@example.com",
    ),
    "ip-addresses": Pattern(
        re.compile(r"\d\.\d|:[\da-fA-F]{0,4}:"),
        re.compile(
            r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\.?\w)"
            r"|(?<![\w:.])(?:[\da-fA-F]{1,4}:|::)(?:[\da-fA-F]{1,4}:|:){1,7}[\da-fA-F]{0,4}(?![\w:])"
        ),
        _reserved_address,
        _is_public_address,
    ),
    "phone-numbers": Pattern(
        re.compile(r"\+\d"),
        re.compile(r"(?<![\w+])\+\d{1,4}(?:[ ./-]?\(?\d{1,5}\)?){2,8}(?!\w)"),
        lambda _, number: f"+0 000 {number:06d}",
        _is_phone_number,
    ),
    "secrets": Pattern(
        re.compile(
            r"AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox|slack|AIza|ya29|_live_|sk-|hf_|npm_|pypi-|SG\.|eyJ|BEGIN"
        ),
        re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(SECRETS)})"),
        lambda _, number: f"SECRET_{number}",
    ),
}
