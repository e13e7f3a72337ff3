import pytest
from hypothesis import given
from hypothesis import strategies as st

from bhasa.documents.masks import MASKS, masked

KEY = (
    "-----BEGIN RSA "
    + "PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIEow\nAAb+/=\n-----END RSA "
    + "PRIVATE KEY-----"
)
SECRETS = [
    "AKIA" + "ABCDEFGH12345678",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2" * 9,
    "glpat-" + "a1B2" * 5,
    "xoxb-" + "1234567890-abc",
    "AIza" + "a1B2c" * 7,
    "sk_live_" + "a1B2" * 6,
    "sk-proj-" + "a1B2" * 9,
    "hf_" + "a" * 34,
    "npm_" + "a1B2" * 9,
    "pypi-AgE" + "a1B2" * 13,
    "SG." + "a" * 22 + "." + "b" * 43,
    "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 20,
    KEY,
]


@pytest.mark.parametrize(
    ("name", "text", "result", "count"),
    [
        ("emails", "<a.b+c@d-e.co.uk> or x@y.org", "<user1@example.com> or user2@example.com", 2),
        ("emails", "x@y.org, z@y.org, x@y.org", "user1@example.com, user2@example.com, user1@example.com", 3),
        ("emails", "a @decorator and user@host, x@y.", "a @decorator and user@host, x@y.", 0),
        (
            "ip-addresses",
            "from 8.8.8.8 to 10.0.0.1 and 127.0.0.1",
            "from 192.0.2.1 to 10.0.0.1 and 127.0.0.1",
            1,
        ),
        ("ip-addresses", "2001:4860:4860::8888 and fe80::1", "2001:db8::1 and fe80::1", 1),
        (
            "ip-addresses",
            "version 1.2.3, 1.2.3.4.5, 999.1.1.1, 12:30:45",
            "version 1.2.3, 1.2.3.4.5, 999.1.1.1, 12:30:45",
            0,
        ),
        ("phone-numbers", "call +49 (0)30 1234-567 now", "call +0 000 000001 now", 1),
        ("phone-numbers", "x +1 and +20 30, 2+3", "x +1 and +20 30, 2+3", 0),
        *(("secrets", f'token = "{secret}"', 'token = "SECRET_1"', 1) for secret in SECRETS),
        ("secrets", "risk-" + "a1B2" * 12 + " AKIA sk-short", "risk-" + "a1B2" * 12 + " AKIA sk-short", 0),
    ],
)
def test_a_value_becomes_its_number(name: str, text: str, result: str, count: int) -> None:
    assert masked(text, (name,)) == (result, {name: count} if count else {})


def test_numbers_go_on_beyond_one_network() -> None:
    text = " ".join(f"8.8.{n // 250}.{n % 250}" for n in range(600))
    found = masked(text, ("ip-addresses",)).text.split()
    assert len(set(found)) == 600
    assert masked(" ".join(found), ("ip-addresses",)).counts == {}


PIECES = st.sampled_from(
    [*SECRETS, "x@y.org", "8.8.4.4", "2600::1", "+1 202 555 0143", " ", "\n", "a", "@", ".", "+1"]
)


@given(st.lists(PIECES | st.text(max_size=5)))
def test_what_is_masked_stays_as_it_is(pieces: list[str]) -> None:
    once = masked(" ".join(pieces), tuple(MASKS)).text
    assert masked(once, tuple(MASKS)).text == once


@pytest.mark.parametrize(
    "piece", ["a", "a.", "a@", "1.", "1:", ":", "+1", "+1 ", "eyJ", "-----BEGIN PRIVATE KEY-----", "sk-"]
)
def test_hostile_text_takes_no_longer_than_other_text(piece: str) -> None:
    text = piece * (500_000 // len(piece)) + "@.:+sk-"
    assert masked(text, tuple(MASKS)).text  # minutes, if an expression were quadratic
