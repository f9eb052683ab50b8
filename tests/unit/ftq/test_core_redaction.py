from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ftq.redaction import (
    MARK,
    NODES,
    TEXT_CHARS,
    Names,
    is_secret,
    read_names,
    redact,
    redact_text,
)

CARD = "4111 1111 1111 1111"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAK\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "name",
    [
        *("password", "Password", "PASSWORD", "userPassword", "user_password", "user-password"),
        *("passwords", "PGPASSWORD", "db.password", "passwd", "pwd", "MYSQL_PWD", "passphrase"),
        *("token", "tokens", "accessToken", "accesstoken", "ACCESS_TOKEN", "X-Amz-Security-Token"),
        *("secret", "client_secret", "clientSecret", "clientsecret", "SecretString", "secrets"),
        *("apiKey", "api_key", "X-Api-Key", "APIKey", "apikey", "xapikey", "accessKeyId"),
        *("AWSSecretAccessKey", "private_key", "AccountKey", "signing-key", "session_id"),
        *("Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-Amz-Signature"),
        *("credentials", "cvv", "pin", "otp", "jwt", "auth", "X-Auth", "db_pass", "sig", "ssn"),
        *("password_hash", "tokenValue", "connectionString"),
    ],
)
def test_a_name_with_a_secret_word_is_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("monkey", "tokenizer", "tokenizer_count", "token_count", "passwordLength", "author"),
        *("secret_name", "secretArn", "token_type", "cookie_policy", "password_changed_at"),
        *("key", "idempotency_key", "partitionKey", "primary_key", "id", "task_id", "address"),
        *("correlation_id", "fingerprint", "receipt", "claim_no", "pinned", "spinner", "compass"),
        *("passenger", "secretary", "design", "auth_method", "signal", "keyboard", "", "_", "7"),
    ],
)
def test_a_name_that_only_holds_the_letters_is_not(name: str) -> None:
    assert not is_secret(name)


def test_names_of_ones_own_are_found_by_their_words_too() -> None:
    names = read_names(" iban, customer name ,birthDate,")
    assert all(is_secret(each, names) for each in ("iban", "customer_iban", "CustomerName"))
    assert is_secret("birth_date_count", names), "no exception was asked for"
    assert not any(is_secret(each, names) for each in ("ibanez", "customer", "name", "birth"))
    assert redact({"customerName": "Ada", "note": "iban=DE89"}, names) == {
        "customerName": MARK,
        "note": f"iban={MARK}",
    }


MANY = ",".join(f"n{n}" for n in range(101))


@pytest.mark.parametrize("text", ["a=b", "7days", "x" * 65, "a,b\nc", MANY])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no name|too many"):
        read_names(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("password=hunter2 user=ada", f"password={MARK} user=ada"),
        ('"token": "abc def", "a": 1', f'"token": "{MARK}", "a": 1'),
        (r"{\"secret\": \"a\\\"b\", \"c\": 1}", rf"{{\"secret\": \"{MARK}\", \"c\": 1}}"),
        ("Email(password='hunter2', to='x')", f"Email(password='{MARK}', to='x')"),
        ("Authorization: Bearer abc.def", f"Authorization: {MARK}"),
        ("Cookie: a=b; c=\"d\"\nHost: x", f"Cookie: {MARK}\nHost: x"),
        ("{'Cookie': 'a=b; c=d', 'x': 1}", f"{{'Cookie': '{MARK}', 'x': 1}}"),
        ("[(b'authorization', b'xyz')]", f"[(b'authorization', b'{MARK}')]"),
        ("['--password', 'hunter2']", f"['--password', '{MARK}']"),
        ("run --db-password hunter2 -v 3", f"run --db-password {MARK} -v 3"),
        ("<ns:password>hunter2</ns:password>", f"<ns:password>{MARK}</ns:password>"),
        ("<password a='1'><![CDATA[x]]></password>", f"<password a='1'>{MARK}</password>"),
        ('<add key="password" value="x"/>', f'<add key="password" value="{MARK}"/>'),
        ("{'name': 'DB_PASSWORD', 'value': 'x'}", f"{{'name': 'DB_PASSWORD', 'value': '{MARK}'}}"),
        (r"\"name\":\"token\",\"value\":\"x\"}", rf"\"name\":\"token\",\"value\":\"{MARK}\"}}"),
        ("- name: PASSWORD\n  value: x\n- b: a", f"- name: PASSWORD\n  value: {MARK}\n- b: a"),
        ("?q=%7B%22password%22%3A%22x%22%7D&b=1", f"?q=%7B%22password%22%3A{MARK}&b=1"),
        ("user%5Bpassword%5D=x&b=1", f"user%5Bpassword%5D={MARK}&b=1"),
        ("&quot;token&quot;:&quot;x&quot; b", f"&quot;token&quot;:{MARK}; b"),
        ("<db user='a' password='x'/>", f"<db user='a' password='{MARK}'/>"),
        ("api key: abc", f"api key: {MARK}"),
        ("Secret Access Key = abc", f"Secret Access Key = {MARK}"),
        ("user[password]=x&b=1", f"user[password]={MARK}&b=1"),
        ("Login(password=SecretBytes(b'x'), a=1)", f"Login(password={MARK}, a=1)"),
        ("password[0]=a&password[]=b&c=d", f"password[0]={MARK}&password[]={MARK}&c=d"),
        ("password=a,b c, d", f"password={MARK} c, d"),
        ("password=a,user=b;token=c;d&e", f"password={MARK},user=b;token={MARK}"),
        ("token -> abc", f"token -> {MARK}"),
        ("token={'a': ('b', 'c')} d", f"token={MARK} d"),
        ('password="hunter2', f'password="{MARK}'),
        ('password = """two\nlines""" x', f'password = """{MARK}""" x'),
        ("?next=%2Fcb%3Ftoken%3Dabc&b=1", f"?next=%2Fcb%3Ftoken%3D{MARK}&b=1"),
        ("/x?X-Amz-Signature=abc&X-Amz-Date=1", f"/x?X-Amz-Signature={MARK}&X-Amz-Date=1"),
        ("postgres://ada:pw@db:5432/x", f"postgres://{MARK}@db:5432/x"),
        ("https://ada:p@ss@h/x", f"https://{MARK}@h/x"),
        ("https://ada:pa/ss@h/x", f"https://{MARK}@h/x"),
        ("https://ghp@github.com/x?to=https://u:p@h", f"https://{MARK}@github.com/x?to=https://{MARK}@h"),
        ("sent Bearer abc123 to it", f"sent Bearer {MARK} to it"),
        ("sent Basic dXNlcjpwYXNz", f"sent Basic {MARK}"),
        (f"got {JWT}, no", f"got {MARK}, no"),
        (f"x_{JWT}", f"x_{MARK}"),
        (f"{KEY_ID} {SECRET_KEY}", f"{MARK} {MARK}"),
        (f"a {PEM} b", f"a {MARK} b"),
        (f"a {PEM[:40]}", f"a {MARK}"),
        (f"card {CARD} 123 12/27", f"card {MARK} 12/27"),
        ("378282246310005", MARK),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", MARK),
    ],
)  # fmt: skip
def test_a_secret_in_a_text_goes_and_the_rest_stays(text: str, clean: str) -> None:
    assert redact_text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "task 4f1c0ad2-0b1e-4c53-9f0a-446655440000 failed at 1700000000000",
        "0123456789abcdef0123456789abcdef01234567",
        f"hash {SECRET_KEY} of something",
        "4111 1111 1111 1112",
        "1234567890123456",
        "a4111111111111111f",
        "max_tokens=4096 token_count: 12 tokenizer=bpe monkey=george",
        "Bearer token missing; Basic functionality; unexpected token",
        "https://example.com:8443/a@b?q=x@y",
        "password: None, secret=null, token=''",
        "arn:aws:iam::123456789012:role/ftq 2026-11-24T15:07:48Z",
        "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a==",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


def test_values_are_walked_and_stay_json() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError("password=x")

    @dataclass
    class Login:
        user: str
        password: str

    inner = json.dumps({"apiKey": "x", "n": [1, {"deep": "Bearer abc"}]})
    assert redact(
        {
            "id": "4f1c",
            "tokens": 12,
            "password": None,
            "has_secret": True,
            "nested": [{"token": {"a": "b"}}, ("cookie", "c"), {"name": "pin", "value": "1"}],
            "inner": inner,
            "error": ValueError("token=abc"),
            "bytes": b"secret=abc",
            "login": Login("ada", "x"),
            "at": datetime(2026, 11, 24, tzinfo=UTC),
            "broken": Broken(),
            "keys": [KEY_ID, SECRET_KEY],
            "command": ["mysql", "--password", "x", "-h"],
            "card": 4111111111111111,
            b"cookie": "x",
        }
    ) == {
        "id": "4f1c",
        "tokens": 12,
        "password": None,
        "has_secret": True,
        "nested": [{"token": MARK}, ["cookie", MARK], {"name": "pin", "value": MARK}],
        "inner": json.dumps({"apiKey": MARK, "n": [1, {"deep": f"Bearer {MARK}"}]}),
        "error": f"ValueError('token={MARK}')",
        "bytes": f"secret={MARK}",
        "login": {"user": "ada", "password": MARK},
        "at": "2026-11-24 00:00:00+00:00",
        "broken": "<Broken>",
        "keys": [MARK, MARK],
        "command": ["mysql", "--password", MARK, "-h"],
        "card": MARK,
        "cookie": MARK,
    }


class Pair(NamedTuple):
    password: str
    host: str


@dataclass
class Hidden:
    host: str
    seed: str = field(repr=False)


def test_fields_keep_their_names_and_what_a_class_hides_stays_hidden() -> None:
    assert redact([Pair("hunter2", "h"), Hidden("h", "hunter2")]) == [
        {"password": MARK, "host": "h"},
        {"host": "h"},
    ]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_in_json_is_null(number: float) -> None:
    assert redact({"n": number}) == {"n": None}


def test_depth_cycles_and_numbers_of_values_are_bounded() -> None:
    deep: list[object] = ["secret"]
    for _ in range(10_000):
        deep = [deep]
    assert MARK in str(redact(deep))
    cycle: list[object] = []
    cycle += [cycle, cycle]  # two to the power of the depth
    assert MARK in str(redact(cycle))
    wide = redact([0] * (NODES + 100))
    assert isinstance(wide, list)
    assert wide[NODES] == MARK
    assert len(str(redact({n: n for n in range(2 * NODES)})).split(",")) <= NODES + 1
    assert len(redact_text("x" * (TEXT_CHARS + 1))) == TEXT_CHARS


_PIECES = st.sampled_from(
    [
        *(
            "password",
            "token",
            "=",
            ":",
            '"',
            "'",
            "\\",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            " ",
            ",",
            "\n",
        ),
        *("://", "@", "Bearer ", "Basic ", "eyJ", ".", "a", "1", "4111111111111111", KEY_ID),
        *(SECRET_KEY, JWT, PEM[:31], "-----END", "--", "<a>", "<", MARK, "%3D", "api key", "/"),
        *("value", "value=", '"value": "', "<![CDATA[", "%22", "&quot;", "%5D"),
    ]
)
_TEXTS = st.lists(_PIECES, max_size=12).map("".join)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["a", "name", "value", "token"]) | _TEXTS, inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(_TEXTS | st.text())
@example('["password=[a", "b]"]')
def test_a_text_is_changed_once(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@given(_VALUES)
def test_a_value_is_changed_once_and_can_be_written(value: object) -> None:
    once = redact(value)
    assert repr(redact(once)) == repr(once)
    json.dumps(once)


@given(
    st.sampled_from(["password", "accessToken", "X-Api-Key"]),
    st.sampled_from(
        ["{n}={s}", '"{n}": "{s}"', "{n}: {s}", "('{n}', '{s}')", "--{n} {s}", "a {n} = {s};"]
    ),
    st.text("abcXYZ019_-+/.", min_size=3).filter(str.strip),
)  # fmt: skip
def test_no_secret_beside_its_name_is_left(name: str, form: str, secret: str) -> None:
    secret = f"s{secret}"
    assert secret not in redact_text(f"x {form.format(n=name, s=secret)} y")


HOSTILE = [
    *("a", "a-", "a.", "eyJ", "-eyJ.", "://", "://a:b/", "://@", "password=", 'password: "'),
    *("-----BEGIN PRIVATE KEY-----", "1 ", "4111 ", "AKIA", "bearer ", "basic a", "<a ", "<a>"),
    *('\\"', 'token: \\\\"', "a: ", "key: ", "Authorization: ", "4" * 19 + " ", "A" * 40 + " "),
    *("%3D", " ", "\n", "ghp_", "sk-a", 'token="\\', f"{KEY_ID} ", "secret ", "api key "),
    *("token=(", "--a ", "(", "{", "[", "a value=", '"a" value', "%22", "token value=", "a%5D"),
    *("token,value=", '"token", "value": "', "<token><![CDATA[", "<![CDATA["),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_more_than_its_length_is_worth(piece: str) -> None:
    text = (piece * TEXT_CHARS)[: TEXT_CHARS // 4]
    begun = time.process_time()
    redact_text(text)
    # Some 2 µs a character at the very most; what is quadratic would take minutes.
    assert time.process_time() - begun < 2


def test_names_are_a_value() -> None:
    assert read_names("") == Names()
