"""Requests by GET and POST, as every known client writes them, and what is refused."""

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from protocols.http.message import HttpRequest
from protocols.ts43.negotiation import DocumentFormat
from protocols.ts43.request import EapRelayAnswer, Ts43Request, parse_request
from protocols.ts43.request_error import Fault, RequestError
from tests.protocols.ts43.requests import EAP_ID, EAP_RELAY, XML, get, params, post

THREE = ("ap2004", "ap2003", "ap2005")


def parsed(http: HttpRequest) -> Ts43Request:
    request = parse_request(http)
    assert isinstance(request, Ts43Request)
    return request


def fault_of(http: HttpRequest) -> Fault:
    with pytest.raises(RequestError) as caught:
        parse_request(http)
    return caught.value.fault


@dataclass
class Rules:
    first: int = 1
    last: int = 12
    lenient: bool = False


def test_a_get_has_all_its_parameters() -> None:
    """T-01."""
    request = parsed(
        get(
            params(
                *THREE,
                app_name="com.example",
                app_version="7",
                GID1="A1",
                notif_action="2",
                notif_token="fcm:token/with+signs",
                EAP_ID=EAP_ID,
                vers="3",
            ),
            (b"user-agent", b"PRD-TS43 term-v/m"),
            (b"accept-language", b"fr-CA, en;q=0.5"),
        )
    )
    assert request.apps == THREE
    assert request.terminal_id == "355555555555555"
    assert request.entitlement_version == (8, 0)
    assert (request.token, request.imsi, request.eap_id) == ("Zk3_x-9", "234107813240779", EAP_ID)
    assert (request.app_name, request.app_version, request.gid1) == ("com.example", "7", "A1")
    assert (request.notif_action, request.notif_token) == (2, "fcm:token/with+signs")
    assert (request.terminal_vendor, request.terminal_model) == ("vend", "modelY")
    assert request.terminal_sw_version == "versionZ"
    assert request.vers == 3
    assert request.user_agent == "PRD-TS43 term-v/m"
    assert request.accept_language == "fr-CA, en;q=0.5"
    assert request.boost_type is None
    assert request.operation == request.msisdn == request.otp == request.access_token == ""
    request.check_version(Rules())


def test_get_and_post_say_the_same() -> None:
    """T-02."""
    given = params(*THREE, notif_action="2", notif_token="abc", EAP_ID=EAP_ID, boost_type="166")
    by_get = parsed(get(given))
    by_post = parsed(post({**dict(given), "app": list(THREE)}))
    for name in Ts43Request.__slots__:
        if name != "params":
            assert getattr(by_get, name) == getattr(by_post, name), name
    assert by_get.params == by_post.params


APP_SPELLINGS = {
    "T-03a array": post({**dict(params()), "app": list(THREE)}),
    "T-03b text": post({**dict(params()), "app": "[ap2004,ap2003,ap2005]"}),
    "Q-TR-3 text with blanks": post({**dict(params()), "app": "[ap2004, ap2003, ap2005]"}),
    "comma list": post({**dict(params()), "app": "ap2004,ap2003,ap2005"}),
    "JSON in a text": post({**dict(params()), "app": '["ap2004","ap2003","ap2005"]'}),
    "Q-TR-4 escaped": post(
        b'{"terminal_id":"1\\/2","entitlement_version":"8.0","app":"[ap2004,ap2003,ap2005]"}'
    ),
    "T-03c repeated": get(params(*THREE)),
    "query list": get(params("ap2004,ap2003,ap2005")),
    "query brackets": get(params("[ap2004,ap2003,ap2005]")),
    "query brackets split at commas": get(params("[ap2004", "ap2003", "ap2005]")),
    "another case": get(params("AP2004", "Ap2003", "ap2005")),
    "twice": get(params(*THREE, *THREE)),
    "with an unknown one": get(params("ap2004", "ap9999", "ap2003", "ap2005", "")),
}


@pytest.mark.parametrize("http", APP_SPELLINGS.values(), ids=APP_SPELLINGS.keys())
def test_every_spelling_of_app_gives_the_three_in_order(http: HttpRequest) -> None:
    """T-03a, T-03b, T-03c, Q-TR-3, Q-TR-5."""
    assert parsed(http).apps == THREE


def test_a_comma_list_that_samsung_split_is_joined_again() -> None:
    """Q-TR-5."""
    request = parsed(
        get([*params("ap2009"), ("operation_targets", "A"), ("operation_targets", "B")])
    )
    assert request.params["operation_targets"] == "A,B"


def test_what_identifies_may_be_repeated_but_not_changed() -> None:
    twice = parsed(get([*params("ap2004"), ("token", "Zk3_x-9")]))
    assert twice.token == "Zk3_x-9"
    assert fault_of(get([*params("ap2004"), ("Token", "another")])) is Fault.REPEATED
    assert fault_of(post(b'{"app":"ap2004","IMSI":"1234567","imsi":"7654321"}')) is Fault.REPEATED


def test_unknown_parameters_are_ignored() -> None:
    """T-08."""
    given = [*params("ap2004"), ("colour", "blue"), ("", "x"), ("flag", "")]
    assert parsed(get(given)).apps == ("ap2004",)
    body = {**dict(params("ap2004")), "extra": {"deep": [1, {"x": None}]}, "none": None, "": 1}
    assert parsed(post(body)).apps == ("ap2004",)


def test_parameter_names_and_operation_values_have_no_case() -> None:
    """T-09; the Firebase carrier specification writes `eap_id`."""
    request = parsed(
        get(
            [
                ("APP", "ap2009"),
                ("Terminal_ID", "x"),
                ("eap_id", EAP_ID),
                ("Entitlement_Version", "9.0"),
                ("OPERATION", "checkeligibility"),
                ("otp", "1"),
                ("MSISDN", "+49170"),
            ]
        )
    )
    assert request.operation == "CheckEligibility"
    assert (request.eap_id, request.otp, request.msisdn) == (EAP_ID, "1", "+49170")
    assert parsed(get(params("ap2009", operation="Dance"))).operation == "Dance"


def test_numbers_and_booleans_are_accepted_in_json() -> None:
    request = parsed(
        post(
            {
                **dict(params("ap2010")),
                "vers": 1,
                "entitlement_version": 12.0,
                "boost_type": 0,
                "notif_action": 2,
                "terminal_id": 355555555555555,
                "flag": True,
            }
        )
    )
    assert (request.vers, request.boost_type, request.notif_action) == (1, 0, 2)
    assert request.entitlement_version == (12, 0)
    assert request.terminal_id == "355555555555555"
    assert request.params["flag"] == "1"


@pytest.mark.parametrize(
    ("query", "name", "value"),
    [
        ("x=a%20b", "x", "a b"),
        ("x=a+b", "x", "a b"),
        ("x=%2B49", "x", "+49"),
        ("x=%2540", "x", "%40"),
        ("x=%", "x", "%"),
        ("x=%zz%41", "x", "%zzA"),
        ("x=%C3%A9", "x", "é"),
        ("x=%ff", "x", "\ufffd"),
        ("x=a=b", "x", "a=b"),
        ("%78=y", "x", "y"),
        ("x", "x", ""),
    ],
)
def test_percent_encoding_is_undone_once(query: str, name: str, value: str) -> None:
    http = get(params("ap2004"))
    http.target += b"&" + query.encode()
    assert parsed(http).params[name] == value


MISSING = [
    ("app", Fault.NO_APP),
    ("terminal_id", Fault.NO_TERMINAL_ID),
]


@pytest.mark.parametrize(("name", "fault"), MISSING)
def test_a_missing_parameter_is_400(name: str, fault: Fault) -> None:
    """T-10a."""
    by_get = get([pair for pair in params("ap2004") if pair[0] != name])
    by_post = post({key: value for key, value in params("ap2004") if key != name})
    assert fault_of(by_get) is fault_of(by_post) is fault
    assert fault.value[0] == 400


def test_a_missing_version_is_400_unless_the_tenant_is_lenient() -> None:
    """T-10a."""
    request = parsed(get(params("ap2004", without="entitlement_version")))
    with pytest.raises(RequestError) as caught:
        request.check_version(Rules())
    assert (caught.value.fault, caught.value.status) == (Fault.NO_VERSION, 400)
    request.check_version(Rules(lenient=True))
    assert request.entitlement_version == (2, 0)


@pytest.mark.parametrize(
    ("text", "served"),
    [
        ("1.0", True),
        ("12.0", True),
        ("12.9", True),
        ("6.1", True),
        ("11.10", True),
        ("5", True),
        ("99.0", False),
        ("13.0", False),
        ("0.9", False),
        ("99999.0", False),
    ],
)
def test_a_version_outside_of_the_tenants_list_is_406(text: str, served: bool) -> None:
    """T-10b; an unknown minor version counts as its major."""
    request = parsed(get(params("ap2004", entitlement_version=text)))
    if served:
        request.check_version(Rules())
        return
    with pytest.raises(RequestError) as caught:
        request.check_version(Rules())
    response = caught.value.response()
    assert (response.status, response.body) == (406, b"protocol not supported\n")


@pytest.mark.parametrize(
    "text", ["x", "1.x", ".", "1.", ".1", "-1.0", "1.0.0", "\u0661.\u0660", "1" * 9]
)
def test_a_version_that_is_no_version_is_400(text: str) -> None:
    assert fault_of(get(params("ap2004", entitlement_version=text))) is Fault.BAD_VERSION


def test_only_unknown_applications_are_400() -> None:
    """T-10c."""
    assert fault_of(get(params("ap2001", "rcs"))) is Fault.UNKNOWN_APP
    assert fault_of(post({**dict(params()), "app": []})) is Fault.NO_APP


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"get"])
def test_other_methods_are_405(method: bytes) -> None:
    """T-10d."""
    http = get(params("ap2004"))
    http.method = method
    with pytest.raises(RequestError) as caught:
        parse_request(http)
    response = caught.value.response()
    assert (response.status, response.header(b"allow")) == (405, b"GET, POST")


def test_a_requestor_id_stands_for_the_terminal() -> None:
    request = parsed(get(params("ap2014", without="terminal_id", requestor_id="191fd7cc")))
    assert (request.terminal_id, request.requestor_id) == ("", "191fd7cc")


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"terminal_id": "x" * 129}, Fault.BAD_TERMINAL_ID),
        ({"terminal_id": "a\x00b"}, Fault.BAD_TERMINAL_ID),
        ({"terminal_id": "ü"}, Fault.BAD_TERMINAL_ID),
        ({"app_name": "n" * 129}, Fault.BAD_APP_NAME),
        ({"app_name": "a\nb"}, Fault.BAD_APP_NAME),
        ({"EAP_ID": "no blank@here"}, Fault.BAD_EAP_ID),
        ({"EAP_ID": "x" * 254}, Fault.BAD_EAP_ID),
        ({"IMSI": "12345678901234567"}, Fault.BAD_IMSI),
        ({"IMSI": "abc"}, Fault.BAD_IMSI),
        ({"boost_type": "256"}, Fault.BAD_BOOST_TYPE),
        ({"boost_type": "-1"}, Fault.BAD_BOOST_TYPE),
        ({"boost_type": ""}, Fault.BAD_BOOST_TYPE),
    ],
)
def test_malformed_values_are_400(more: dict[str, str], fault: Fault) -> None:
    assert fault_of(get(params("ap2004", **more))) is fault
    assert fault_of(post(dict(params("ap2004", **more)))) is fault
    assert fault.value[0] == 400


@pytest.mark.parametrize("vers", ["", "x", "1.5", "99999999999", "--1"])
def test_a_vers_that_is_no_number_counts_as_none_held(vers: str) -> None:
    assert parsed(get(params("ap2004", vers=vers))).vers == 0
    assert parsed(get(params("ap2004", vers="-2"))).vers == -2


@pytest.mark.parametrize(
    ("text", "action"), [("0", 0), ("4", 4), (" 2", 2), ("5", -1), ("x", -1), ("", -1), ("22", -1)]
)
def test_an_impossible_notif_action_does_not_spoil_the_request(text: str, action: int) -> None:
    """RegisterNotifStatus tells it (§2.9.5); a 400 would stop Samsung until reboot."""
    assert parsed(get(params("ap2004", notif_action=text))).notif_action == action


BODIES = {
    "nothing": b"",
    "an array": b"[1]",
    "a text": b'"x"',
    "cut off": b'{"app":"ap2004"',
    "not UTF-8": b'{"app":"\xff"}',
    "a lone surrogate": b'{"app":"\\ud800"}',
    "deep": b'{"app":' + b"[" * 20_000,
    "NaN": b'{"vers":NaN}',
    "an infinite number": b'{"vers":1e999}',
    "a form": b"app=ap2004&terminal_id=1",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_json_object_is_400(body: bytes) -> None:
    """EAP-21."""
    assert fault_of(post(body)) is Fault.NOT_JSON


def test_a_byte_order_mark_is_forgiven() -> None:
    assert parsed(post(b'\xef\xbb\xbf{"app":"ap2004","terminal_id":"1"}')).apps == ("ap2004",)


def test_what_is_too_large_or_too_much_is_refused() -> None:
    assert fault_of(post(b'{"app":"' + b"x" * 33_000 + b'"}')) is Fault.TOO_LARGE
    assert fault_of(get(params("ap2004", colour="x" * 17_000))) is Fault.TOO_LARGE
    many = [(f"p{number}", "1") for number in range(128)]
    assert fault_of(get([*params("ap2004"), *many])) is Fault.TOO_MANY_PARAMETERS
    assert fault_of(post(dict([*params("ap2004"), *many]))) is Fault.TOO_MANY_PARAMETERS


def test_the_relay_answer_is_told_from_a_request_by_its_key() -> None:
    packet = b"\x02\x02\x00\x28" + bytes(36)
    body = b'{"eap-relay-packet":"AgIAKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}'
    for content_type in (EAP_RELAY, b"application/json", b"application/json; charset=utf-8"):
        answer = parse_request(
            HttpRequest(
                b"POST",
                b"/?",
                b"",
                [
                    (b"content-type", content_type),
                    (b"accept", EAP_RELAY + b", " + XML),
                    (b"cookie", b"SID=abc; Path=/; HttpOnly"),
                    (b"accept-language", b"de"),
                    (b"accept-encoding", b"gzip"),
                ],
                body,
            )
        )
        assert isinstance(answer, EapRelayAnswer)
        assert answer.packet == packet
        assert answer.session_cookies == ("abc",)
        assert answer.document_format is answer.format_for(True) is DocumentFormat.XML
        assert (answer.accept_language, answer.accepts_gzip) == ("de", True)


@pytest.mark.parametrize(
    "text",
    ["AgIABA==", "AgIABA", "AgIA\\nBA==\\n", "Ag\\r\\nIABA=="],
    ids=["padded", "not padded", "with line ends", "wrapped"],
)
def test_base64_of_every_kind_of_encoder_is_read(text: str) -> None:
    answer = parse_request(post(f'{{"eap-relay-packet":"{text}"}}'.encode()))
    assert isinstance(answer, EapRelayAnswer)
    assert answer.packet == b"\x02\x02\x00\x04"


@pytest.mark.parametrize(
    "value",
    [
        '"!!!!"',
        '""',
        '"AgI="',
        '"AgIABA==AgIABA=="',
        "7",
        "null",
        '["AgIABA=="]',
        '"AgI-BA=="',
        '"ÄgIABA=="',
    ],
)
def test_a_packet_that_is_no_base64_is_400(value: str) -> None:
    """EAP-21."""
    assert fault_of(post(f'{{"eap-relay-packet":{value}}}'.encode())) is Fault.BAD_PACKET


def test_a_relay_body_without_the_packet_is_400() -> None:
    """EAP-21."""
    http = HttpRequest(b"POST", b"/", b"", [(b"content-type", EAP_RELAY)], b'{"eap":"AgIABA=="}')
    assert fault_of(http) is Fault.NO_PACKET


def test_representations_show_nobodys_identity() -> None:
    request = parsed(get(params("ap2004", EAP_ID=EAP_ID)))
    assert repr(request) == "<Ts43Request ap2004 version=8.0>"
    answer = parse_request(post(b'{"eap-relay-packet":"AgIABA=="}', (b"cookie", b"SID=secret")))
    assert repr(answer) == "<EapRelayAnswer 4 octets>"


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_status_that_phones_survive_and_quotes_nothing(fault: Fault) -> None:
    response = RequestError(fault).response()
    assert response.status in (400, 405, 406, 413)
    assert response.body.decode() == fault.value[1] + "\n"


@hypothesis_given(st.binary(max_size=300))
def test_no_query_ends_in_anything_but_a_request_or_a_refusal(query: bytes) -> None:
    _survives(HttpRequest(b"GET", b"/?app=ap2004&terminal_id=1&" + query, b"", []))
    _survives(HttpRequest(b"GET", b"/?" + query, b"", [(b"accept", query), (b"cookie", query)]))


@hypothesis_given(st.binary(max_size=300))
def test_no_body_ends_in_anything_but_a_request_or_a_refusal(body: bytes) -> None:
    headers = [(b"content-type", body), (b"accept-encoding", body), (b"cookie", b"SID=" + body)]
    _survives(HttpRequest(b"POST", b"/", b"", headers, body))
    _survives(HttpRequest(b"POST", b"/", b"", headers, b'{"eap-relay-packet":"' + body + b'"}'))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        "app",
        "token",
        "IMSI",
        "EAP_ID",
        "vers",
        "entitlement_version",
        "terminal_id",
        "boost_type",
        "notif_action",
        "app_name",
        "operation",
        "eap-relay-packet",
    ]
)


@pytest.mark.slow
@hypothesis_given(st.dictionaries(NAMES, JSON, max_size=8))
def test_no_json_value_ends_in_anything_but_a_request_or_a_refusal(
    given: dict[str, object],
) -> None:
    _survives(post({"app": "ap2004", "terminal_id": "1", **given}))


@hypothesis_given(
    st.dictionaries(
        st.text("abcdefgh_", min_size=1).map("x".__add__),
        st.text(st.characters(exclude_categories=["Cs"])),
        max_size=8,
    )
)
def test_what_is_encoded_into_a_query_comes_out_of_it(given: dict[str, str]) -> None:
    request = parsed(get([*params("ap2004"), *given.items()]))
    assert given.items() <= request.params.items()


def _survives(http: HttpRequest) -> None:
    """A refusal is the only exception there may be, and every one is in the table of faults."""
    with contextlib.suppress(RequestError):
        parse_request(http)
