"""Secrets are replaced, and what only looks like one is left alone."""

from __future__ import annotations

import random
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enhanced_memory.rules.secrets import redact

DICE = random.Random(11)


def drawn(length: int, signs: str = string.ascii_letters + string.digits) -> str:
    """Signs drawn by lot, the last three a digit, a small and a capital letter where the signs have them."""
    tail = "7" + ("q" if "q" in signs else "") + ("K" if "K" in signs else "")
    return "".join(DICE.choices(signs, k=length - len(tail))) + tail


HEX = string.digits + "abcdef"
CAPITALS = string.ascii_uppercase + "234567"

# Made up here: none of them opens anything. They are written in halves or drawn by lot, so that no scanner minds them.
PLANTED = {
    "password": [
        ("my password is {}", "hunter2"),
        ("The password for the office wifi is {}.", "sunflower"),
        ("DB_PASSWORD={}", "correcthorse"),
        ('{{"password": "{}"}}', "s3cr3t!"),
        ("I changed my password to {} yesterday", "Swordfish99"),
        ("login: bob, pwd: {}", "Tr0ub4dor&3"),
        ("my passphrase is {}", "violet harbor candle river"),
        ("my PIN is {}", "4921"),
        ("my password ({}) is old", "hunter2"),
        ("mein Passwort ist {}", "geheim12"),
        ("passwort: {}", "sonnenblume"),
        ("the password's {}", "hunter2"),
        ("{} is my password", "blue7fish"),
    ],
    "password in an address": [
        ("postgres://bob:{}@db.example.com/app", "pg-pass"),
        ("redis://:{}@localhost:6379/0", "r3dis"),
        ("clone https://ann:{}@git.example.com/x.git", "p%40ss"),
        ("amqp://guest:{}@mq", "guest-42"),
        ("set DATABASE_URL to mysql://root:{}@127.0.0.1", "toor!"),
    ],
    "openai or anthropic key": [
        ("OPENAI_API_KEY={}", "sk-" + drawn(48)),
        ("use {} for now", "sk-proj-" + drawn(60)),
        ("the key {} is mine", "sk-ant-api03-" + drawn(80)),
        ("export ANTHROPIC_API_KEY='{}'", "sk-ant-" + drawn(40)),
        ("key: {},", "sk-or-v1-" + drawn(64, HEX)),
    ],
    "github or gitlab token": [
        ("my token is {}", "ghp_" + drawn(36)),
        ("{}", "github_pat_" + drawn(22) + "_" + drawn(59)),
        ("GITHUB_TOKEN: {}", "ghs_" + drawn(36)),
        ("git clone https://oauth2:{}@gitlab.com/a/b", "glpat-" + drawn(20)),
        ("CI uses {}!", "gho_" + drawn(36)),
    ],
    "cloud key": [
        ("access key {}", "AKIA" + drawn(16, CAPITALS)),
        ("aws_secret_access_key = {}", drawn(40)),
        ("maps key {}", "AIza" + drawn(35)),
        ("oauth token ya29 is {}", "ya29." + drawn(60)),
        ("AZURE_CLIENT_SECRET={}", drawn(34)),
    ],
    "slack or discord": [
        ("bot: {}", "xoxb-" + "123456789012-1234567890123-" + drawn(24)),
        ("user token {}", "xoxp-" + "123456789012-" + drawn(32, HEX)),
        ("app {}", "xapp-1-A0123-" + drawn(40, HEX)),
        ("post to https://{}", "hooks.slack.com/services/T0000/B0000/" + drawn(24)),
        ("discord {}", "M" + drawn(23) + "." + drawn(6) + "." + drawn(27)),
    ],
    "payment key": [
        ("stripe {}", "sk_" + "live_" + drawn(24)),
        ("stripe test {}", "rk_" + "test_" + drawn(24)),
        ("hook {}", "whsec_" + drawn(32)),
        ("shop {}", "shpat_" + drawn(32, HEX)),
        ("square {}", "sq0atp-" + drawn(22)),
    ],
    "web token": [
        ("jwt {}", f"eyJ{drawn(20)}.eyJ{drawn(40)}.{drawn(43)}"),
        ("Authorization: Bearer {}", drawn(40)),
        ("Authorization: Basic {}", drawn(24) + "=="),
        ("GET /x?access_token={}&y=1", drawn(30)),
        ("session token: {}", "550e8400-e29b-41d4-a716-446655440000"),
    ],
    "private key": [
        ("{}", f"-----BEGIN {kind}PRIVATE KEY-----\n{drawn(64)}\n{drawn(64)}\n-----END {kind}PRIVATE KEY-----")
        for kind in ("RSA ", "EC ", "OPENSSH ", "")
    ]
    + [("cut off: {}", f"-----BEGIN PRIVATE KEY-----\n{drawn(64)}\n{drawn(64)}")],
    "card number": [
        ("card {}", "4111 1111 1111 1111"),
        ("card {}, exp 12/29", "5555555555554444"),
        ("my amex is {}", "3782 822463 10005"),
        ("visa={}", "4012-8888-8888-1881"),
        ("{}", "2223003122003222"),
        ("{} 12/27", "4111.1111.1111.1111"),
        ("{}", "4012\u00a08888\u00a08888\u00a01881"),
    ],
    "bank account": [
        ("my IBAN is {}, thanks", "DE89 3704 0044 0532 0130 00"),
        ("iban {}", "GB82WEST12345698765432"),
        ("send it to {} EUR", "NL91ABNA0417164300"),
        ("{}", "FR14 2004 1010 0505 0001 3M02 606"),
    ],
    "social security number": [
        ("my number is {}", "219-09-9999"),
        ("SSN: {}", "219099998"),
    ],
    "other named secret": [
        ("api_key: {}", drawn(20, HEX)),
        ("my API key is {}", drawn(32, HEX)),
        ('client_secret = "{}"', drawn(20)),
        ('curl -H "X-Api-Key: {}"', drawn(18, HEX)),
        ("run it with --token {}", drawn(12)),
    ],
    "key of another vendor": [
        ("{}", "hf_" + drawn(34)),
        ("{}", "npm_" + drawn(36)),
        ("{}", f"SG.{drawn(22)}.{drawn(43)}"),
        ("{}", "dop_v1_" + drawn(64, HEX)),
        ("telegram {}", "123456789:AA" + drawn(33)),
        ("found {} in the log", drawn(44)),
    ],
}


@pytest.mark.parametrize(("frame", "secret"), [pair for pairs in PLANTED.values() for pair in pairs])
def test_a_secret_leaves_no_piece_of_itself(frame: str, secret: str) -> None:
    text, found = redact(f"We met on Monday. {frame.format(secret)}\nThen we left.")
    assert found.total() == 1
    assert secret not in text
    pieces = [piece for piece in secret.split() if not piece.startswith(("-----", "PRIVATE"))]
    assert not any(piece in text for piece in pieces if len(piece) > 3)
    assert text.startswith("We met on Monday. ")
    assert text.endswith("Then we left.")


def test_all_planted_secrets_go_from_one_text() -> None:
    pairs = [pair for kind in PLANTED.values() for pair in kind]
    text, found = redact("\n\n".join(frame.format(secret) for frame, secret in pairs))
    assert not [secret for _, secret in pairs if secret in text]
    assert found.total() == len(pairs) >= 50
    assert set(found) == {
        "api key",
        "token",
        "private key",
        "card number",
        "bank account",
        "social security number",
        "password",
    }


@pytest.mark.parametrize(
    ("frame", "secret"),
    [
        ("I keep the password {} for the router and use it always.", "Zebra99"),
        ("I always log in with user marta and password {}", "Sommer2024"),
        ("I use the password '{}' for everything.", "hunter3"),
        ('My password is: "{}".', "correct horse"),
        ("the admin password should be {}", "Walrus!8"),
        ("the root password changes to {}", "Otter_99"),
        ("My login for the bank is bob / {}", "MyS3cretPass!"),
        ("My credentials are ann@example.org / {}", "tr0ub4dor"),
    ],
)
def test_a_password_in_a_sentence_is_a_secret(frame: str, secret: str) -> None:
    assert redact(frame.format(secret))[0] == frame.format("[secret: password]")


@pytest.mark.parametrize(
    "text",
    [
        "commit 3f786850e387550fdab836ed7e6dc881de23001b broke the build",
        "The password should be strong, and must be memorable",
        "The password changes to something new each month; I changed the password 3 times",
        "I use the password manager 1Password, and password 2FA for all",
        "the password reset_url is broken, and the password of ann@example.com was reset",
        "my login is at 9 / 10 each day, and the login page is slow / broken",
        "the login endpoint is /api/v2; for the password SHA-256 is too fast",
        "the id is 550e8400-e29b-41d4-a716-446655440000",
        "we run node 20.11.1 and 2.10.3-beta.4",
        "call me at +49 151 12345678 or 020 7946 0958",
        "ISBN 978-3-16-148410-0 and 9783161484100",
        "order number 1234567890123456",
        "tracking number 9400 1000 0000 0000 0000 00",
        "https://example.com/feature/5068609911521280",
        "timestamp 1700000000000",
        "the password is wrong",
        "Password is required.",
        "the password is stored in Vault",
        "my password is not working",
        "passwords must be at least 8 characters",
        "the password is 12 characters long",
        "the passphrase is too long",
        "password: str",
        'password = os.environ["DB_PASSWORD"]',
        "password=<your password>",
        "use the password reset form",
        "token=$TOKEN",
        "max_tokens: 4096",
        "the token expired after 30 days",
        "session tokens are rotated every 30 days",
        "the secret to good bread is time",
        "secret_name: prod/db1",
        "the API key is in config2.yaml",
        "I use token-based auth with OAuth2",
        "MAX_PASSWORD_LENGTH=128",
        "password hashes use SHA-256",
        "getUserByIdFromDatabaseWithRetries",
        "/usr/local/lib/python3.11/site-packages/pkg/module.py",
        "https://docs.example.com/document/d/1A2b3C4d5E6f7G8h9I0jK1L2m3N4o5P6q",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "0x1234567890abcdef1234567890abcdef12345678",
        "my_very_long_variable_name_for_testing_2",
        "192.168.100.200:8080/api/v1/things",
        "meet at 2024-05-01T10:31:22.123456Z",
        "I passed: 3 tests, 2 skipped",
        "the keyboard is a Model M",
        "order 113-4567890-1234567 and part 900-12-3456 and case 000-12-3456",
        "section 123-45-6789-01 of A-123-45-6789",
        "IBAN DE88 3704 0044 0532 0130 00 has the wrong check digits",
        "rooms 4111 1111 1111 and 5000 6000 7000 8001",
        "my password (the old one) and the password (min 8 characters)",
        "the password is case-sensitive",
        "Python3 is the default password hasher",
        "password (SHA-256) and pin (PB12)",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == (text, {})


def test_what_stands_before_a_secret_stays() -> None:
    assert redact("My wifi password is hunter2, ok?")[0] == "My wifi password is [secret: password], ok?"


def test_cards_in_a_row_all_go_but_not_digits_in_the_middle_of_a_longer_number() -> None:
    cards = "4111 1111 1111 1111 4012 8888 8888 1881 5555 5555 5555 4444"
    assert redact(cards)[1] == {"card number": 3}
    assert redact("12345 4111 1111 1111 1111 99999")[1] == {}


PIECES = ["password", "password: ", " is ", "token=", "-----BEGIN PRIVATE KEY-----", "4111 ", "://a:", "@", "[secret: "]
PIECES += [frame.format(secret) for kind in PLANTED.values() for frame, secret in kind]
FRAGMENTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=12), max_size=12).map("".join)


@given(FRAGMENTS)
def test_a_second_pass_changes_nothing(text: str) -> None:
    once, _ = redact(text)
    again, found = redact(once)
    assert (again, found) == (once, {})


@given(st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12), max_size=30).map(" ".join))
def test_plain_words_without_a_telling_one_are_no_secret(text: str) -> None:
    if not any(
        word in text for word in ("pass", "pin", "pw", "secret", "token", "phrase", "code", "credential", "key")
    ):
        assert redact(text) == (text, {})


@pytest.mark.parametrize(
    "written", ["DEPLOY_KEY={}", "with `x.y:{}`", "KEY: {}", "account {} of the store", "deploy?k=1&v={}"]
)
@pytest.mark.parametrize("length", [40, 88])
def test_a_run_without_order_is_a_secret_whatever_names_it_and_however_long_it_is(written: str, length: int) -> None:
    chance = random.Random(length)
    for _ in range(50):
        secret = "".join(chance.choices(string.ascii_letters + string.digits, k=length))
        looks_like_words = length < 64 and re.search("[a-z]{7}|[A-Z]{7}", secret)
        if sum(map(str.isdigit, secret)) >= 4 and not looks_like_words:
            assert secret not in redact(f"We use {written.format(secret)} at work.")[0]


@pytest.mark.parametrize("name", ["PASSWORD", "pa\u017f\u017fword", "Api_Key", "ap\u0131_key", "to\u212aen"])
def test_the_name_of_a_secret_is_known_in_letters_of_any_case_and_kind(name: str) -> None:
    text = f"\u0130n {name}: Zq9x77Kpq2vv"
    assert "Zq9x77Kpq2vv" not in redact(text)[0]
    assert redact(text)[0].startswith(f"\u0130n {name}: [secret: ")
