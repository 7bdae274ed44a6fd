"""No secret leaves in a trace that was not asked for them, and everything else stays as it was."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.trace.recorder import Payload, TraceEvent
from node.trace.redaction import redacted, redacted_diameter, redacted_eap
from protocols.diameter import dictionary
from protocols.diameter.codec import decode
from protocols.diameter.encoding import encode_avp, encode_message, encode_octets
from protocols.http.message import HttpRequest, HttpResponse

TOKEN = "Zk9vZ4h7sQb1nWmT0yXcR2uLp8aEdG5iJ3fKq6oVxY"

# GSMA TS.43 §2.8.1 example, as in the reference of the EAP tests.
CHALLENGE = bytes.fromhex(
    "0102007C17010000010500005CE6529028F1CAC804E37196A8726F81020500006B8A4586ADE90000B354E13C660833E8"
    "0B05000094F49EA5DE01896ACD3D1419720D10D581050000EF3DDF8489A4ABEBDC08A58864176FB982090000"
    "0F454169ECA585A3E4E1AFBF108FD844901DB30348BA29A90E0ECB9F042F8125"
)
RESPONSE = bytes.fromhex(
    "020200281701000003030040C79F02A59FC9A38F0B0500001C141BDDDE8BEF2E502FB6793808DE7C"
)
RES, MAC = RESPONSE[12:20], RESPONSE[24:40]
SYNC_FAILURE = bytes.fromhex("0202001817040000040433D58D39619C213367E376115315")
MSK = bytes(range(64))


def of(payload: Payload) -> Payload:
    event = TraceEvent(1.5, "x1", "op1", "001010000000001", "http", "in", payload)
    return redacted(event).payload


def relay(packet: bytes) -> bytes:
    return json.dumps({"eap-relay-packet": base64.b64encode(packet).decode()}).encode()


def message(*avps: bytes) -> bytes:
    return encode_message(0x40, 268, 16777264, 1, 2, b"".join(avps))


def test_res_and_mac_become_zeros_and_nothing_else_changes() -> None:
    out = redacted_eap(RESPONSE)
    assert out == RESPONSE.replace(RES, bytes(8)).replace(MAC, bytes(16))
    out = redacted_eap(CHALLENGE)
    assert out == CHALLENGE.replace(CHALLENGE[52:68], bytes(16))
    assert out[12:28].hex() == "5ce6529028f1cac804e37196a8726f81"


@pytest.mark.parametrize(
    "packet",
    [SYNC_FAILURE, bytes.fromhex("03020004"), bytes.fromhex("0201000601") + b"0"],
)
def test_packets_without_secrets_stay(packet: bytes) -> None:
    assert redacted_eap(packet) == packet


@pytest.mark.parametrize("packet", [b"", RESPONSE[:-1], RESPONSE[:9] + b"\0" + RESPONSE[10:]])
def test_a_broken_packet_is_hidden_whole(packet: bytes) -> None:
    assert redacted_eap(packet) == bytes(len(packet))


def test_keys_and_packets_inside_diameter_are_hidden_and_it_still_decodes() -> None:
    raw = message(
        encode_avp(dictionary.SESSION_ID, "ecs1;1;2"),
        encode_avp(dictionary.EAP_PAYLOAD, RESPONSE),
        encode_avp(dictionary.EAP_MASTER_SESSION_KEY, MSK),
        encode_avp(dictionary.STATE, b"st0"),
        encode_avp(dictionary.RAT_TYPE, 0),
    )
    out = redacted_diameter(raw)
    assert len(out) == len(raw)
    assert MSK not in out
    assert RES not in out
    before, after = decode(raw), decode(out)
    assert [(one.key, one.flags, len(one.data)) for one in after] == [
        (one.key, one.flags, len(one.data)) for one in before
    ]
    assert after.octets(dictionary.STATE) == b"st0"
    assert (after.hop_by_hop, after.end_to_end, after.command) == (1, 2, 268)


def test_what_a_failed_avp_quotes_is_hidden_as_well() -> None:
    failed = encode_avp(dictionary.EAP_PAYLOAD, RESPONSE)
    raw = message(encode_octets(dictionary.FAILED_AVP, failed), encode_avp(dictionary.STATE, b"s"))
    out = redacted_diameter(raw)
    assert len(out) == len(raw)
    assert RES in raw
    assert RES not in out
    quoted = decode(out).group(dictionary.FAILED_AVP)
    assert quoted is not None
    assert quoted.octets(dictionary.EAP_PAYLOAD) == redacted_eap(RESPONSE)
    broken = message(encode_octets(dictionary.FAILED_AVP, failed[:-4]))
    assert RES not in redacted_diameter(broken)


def test_of_a_broken_diameter_message_only_the_header_is_left() -> None:
    raw = message(encode_avp(dictionary.EAP_MASTER_SESSION_KEY, MSK))
    assert redacted_diameter(raw[:-4]) == raw[:20]
    assert redacted_diameter(b"\x01") == b"\x01" + bytes(19)


@given(st.binary(max_size=200))
def test_any_octets_can_be_redacted(octets: bytes) -> None:
    redacted_diameter(octets)
    assert len(redacted_eap(octets)) == len(octets)
    of(HttpRequest(b"POST", b"/?" + octets, b"", [(b"cookie", octets)], octets))
    response = of(HttpResponse(200, b"", octets, ((b"set-cookie", octets),)))
    assert isinstance(response, HttpResponse)
    assert len(response.body) == len(octets) or b"eap-relay-packet" in octets


def test_a_request_loses_tokens_cookies_and_passwords() -> None:
    request = HttpRequest(
        b"POST",
        f"/?IMSI=001010000000001&token={TOKEN}&app=ap2004&OTP=1234".encode(),
        b"aes.example",
        [
            (b"cookie", f"SID={TOKEN}; other=1".encode()),
            (b"authorization", f"Bearer {TOKEN}".encode()),
            (b"accept", b"text/xml"),
        ],
        relay(RESPONSE),
    )
    out = of(request)
    assert isinstance(out, HttpRequest)
    assert out.target == f"/?IMSI=001010000000001&token={'*' * 42}&app=ap2004&OTP=****".encode()
    assert out.headers == [
        (b"cookie", b"SID=" + b"*" * 51),
        (b"authorization", b"Bearer " + b"*" * 42),
        (b"accept", b"text/xml"),
    ]
    assert out.body == relay(redacted_eap(RESPONSE))
    assert request.headers[0][1].endswith(b"other=1")  # the one given is not changed


def test_a_form_or_json_body_of_a_request_loses_its_token() -> None:
    form = of(HttpRequest(b"POST", b"/", b"", [], f"token={TOKEN}&app=ap2004".encode()))
    assert isinstance(form, HttpRequest)
    assert form.body == b"token=" + b"*" * 42 + b"&app=ap2004"
    json_body = f'{{"app": ["ap2004"], "token" : "{TOKEN}", "vers": 1}}'
    body = of(HttpRequest(b"POST", b"/", b"", [], json_body.encode()))
    assert isinstance(body, HttpRequest)
    assert json.loads(body.body) == {"app": ["ap2004"], "token": "*" * 42, "vers": 1}


def test_a_document_loses_its_token_and_its_cookie_value_but_keeps_its_form() -> None:
    xml = (
        '<characteristic type="TOKEN"><parm name="token" value="{0}"/>'
        '<parm name="validity" value="3600"/><parm name="ServiceFlow_URL" '
        'value="https://op.example/sheet?x=1&amp;token={0}"/>'
        '<parm name="ServiceFlow_UserData" value="{0}"/></characteristic>'
    )
    out = of(
        HttpResponse(
            200,
            b"text/vnd.wap.connectivity-xml",
            xml.format(TOKEN).encode(),
            ((b"set-cookie", f"SID={TOKEN}; Path=/; Secure".encode()),),
        )
    )
    assert isinstance(out, HttpResponse)
    assert out.body == xml.format("*" * 42).encode()
    assert out.headers == ((b"set-cookie", b"SID=" + b"*" * 42 + b"; Path=/; Secure"),)


def test_a_redirect_loses_the_token_in_its_address() -> None:
    out = of(HttpResponse(302, headers=((b"location", b"https://x/?id_token=abc#f"),)))
    assert isinstance(out, HttpResponse)
    assert out.headers == ((b"location", b"https://x/?id_token=***#f"),)


def test_a_reason_stays() -> None:
    assert of("no plan for vowifi") == "no plan for vowifi"
