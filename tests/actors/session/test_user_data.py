"""What web sheets are told of who opens them: sealed, separate from cookies, and for a while."""

import base64
import json
from itertools import count
from urllib.parse import parse_qs
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.session.cookie import CookieSeal
from actors.session.user_data import PARAMETER, UserData, UserDataSeal, in_form
from tests.actors.session.test_cookie import POINT

KEY, OLD_KEY = bytes(range(32)), bytes(range(1, 33))
NOW = 1_790_000_000.0
DATA = UserData(
    expires=int(NOW) + 600,
    tenant="mno",
    imsi="001010000000001",
    app="ap2004",
    terminal_id="350000000000018",
    language="pt-BR",
)
_counter = count()


def serials(octets: int) -> bytes:
    """Never the same again, and told apart by a person."""
    return next(_counter).to_bytes(octets)


def sealer(*keys: bytes) -> UserDataSeal:
    return UserDataSeal(keys, serials)


@given(
    st.builds(
        UserData,
        expires=st.integers(int(NOW), 2**32 - 1),
        tenant=st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True),
        imsi=st.from_regex(r"[0-9]{6,15}", fullmatch=True),
        app=st.integers(2001, 5999).map("ap{}".format),
        terminal_id=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=128),
        language=st.sampled_from(["en", "fr", "pt-BR"]),
        serial=st.just(b""),
    )
)
def test_what_was_sealed_opens_as_it_was(data: UserData) -> None:
    seal = sealer(KEY)
    opened = seal.open(seal.seal(data), NOW)
    assert opened is not None
    assert len(opened.serial) == 12
    assert opened._replace(serial=b"") == data


def test_each_has_a_serial_of_its_own() -> None:
    seal = sealer(KEY)
    one, other = (seal.open(seal.seal(DATA), NOW) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.serial != other.serial


def test_nobody_reads_the_subscriber_in_it() -> None:
    text = sealer(KEY).seal(DATA)
    assert DATA.imsi not in text
    assert DATA.imsi.encode().hex() not in text
    assert set(text) <= set("0123456789abcdef")
    assert len(text) < 200
    assert DATA.imsi not in repr(DATA)


def test_it_survives_what_clients_do_to_letters() -> None:
    """Q-DOC-5: Samsung's parser may fold letters; a query may be percent-encoded."""
    seal = sealer(KEY)
    text = seal.seal(DATA)
    assert seal.open(text.upper(), NOW) == seal.open(text, NOW)
    assert parse_qs(in_form(text, "")) == {PARAMETER: [text]}


def test_it_opens_until_it_expires() -> None:
    """WS-52c."""
    seal = sealer(KEY)
    text = seal.seal(DATA)
    assert seal.open(text, DATA.expires) is not None
    assert seal.open(text, DATA.expires + 1) is None


def test_what_was_changed_does_not_open() -> None:
    """WS-52c."""
    seal = sealer(KEY)
    text = seal.seal(DATA)
    for at in range(0, len(text), 7):
        changed = text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]
        assert seal.open(changed, NOW) is None
    for damaged in ("", text[:-2], text[:-1], text + "00", "zz" * 60, "é" * 90, "0" * 5_000):
        assert seal.open(damaged, NOW) is None


def test_a_rotated_key_still_opens_and_a_removed_one_does_not() -> None:
    old = sealer(OLD_KEY).seal(DATA)
    assert sealer(KEY, OLD_KEY).open(old, NOW) is not None
    assert sealer(KEY).open(old, NOW) is None
    assert sealer(KEY).open(sealer(KEY, OLD_KEY).seal(DATA), NOW) is not None


def test_a_cookie_is_no_user_data_nor_the_other_way_round() -> None:
    cookies = CookieSeal((KEY,))
    symbols = str.maketrans("3456789bdfghlmnp", "0123456789abcdef")
    assert sealer(KEY).open(cookies.seal(POINT, bytes(12)).translate(symbols), NOW) is None
    back = str.maketrans("0123456789abcdef", "3456789bdfghlmnp")
    assert cookies.open(sealer(KEY).seal(DATA).translate(back), NOW) is None


@pytest.mark.parametrize("contents_type", ["json", "xml"])
def test_json_and_xml_are_encoded_for_the_attribute(contents_type: str) -> None:
    """TS.43 table 50: the client decodes what follows `encodedValue=` and posts it."""
    name, _, encoded = in_form("2b7e", contents_type).partition("=")
    assert name == "encodedValue"
    content = base64.b64decode(encoded, validate=True)
    if contents_type == "json":
        assert json.loads(content) == {PARAMETER: "2b7e"}
    else:
        root = ElementTree.fromstring(content)  # noqa: S314 - it is ours
        assert (root.tag, root.text) == (PARAMETER, "2b7e")
