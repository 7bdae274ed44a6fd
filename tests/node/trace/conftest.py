"""One whole exchange as its trace: GET with EAP_ID, challenge, POST with the response, document."""

import base64

import pytest

from actors.trace.recorder import Direction, Leg, Payload, TraceEvent
from protocols.diameter import dictionary as d
from protocols.diameter.encoding import encode_avp, encode_avps, encode_message
from protocols.http.message import HttpRequest, HttpResponse

IMSI = "001010000000001"
NAI = "0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
TOKEN = "Zk9vZ4h7sQb1nWmT0yXcR2uLp8aEdG5iJ3fKq6oVxY"
COOKIE = "3456789bdfghlmnp" * 9
SESSION_ID = "ecs1.epc.mnc001.mcc001.3gppnetwork.org;1764000000;1"
AAA = "aaa1.epc.mnc001.mcc001.3gppnetwork.org"

IDENTITY = bytes((2, 1, 0, 59, 1)) + NAI.encode()
CHALLENGE = bytes.fromhex(
    "0102007C17010000010500005CE6529028F1CAC804E37196A8726F81020500006B8A4586ADE90000B354E13C660833E8"
    "0B05000094F49EA5DE01896ACD3D1419720D10D581050000EF3DDF8489A4ABEBDC08A58864176FB982090000"
    "0F454169ECA585A3E4E1AFBF108FD844901DB30348BA29A90E0ECB9F042F8125"
)
RESPONSE = bytes.fromhex(
    "020200281701000003030040C79F02A59FC9A38F0B0500001C141BDDDE8BEF2E502FB6793808DE7C"
)
SUCCESS = bytes.fromhex("03020004")
MSK = bytes(range(64))
SECRETS = (
    TOKEN.encode(),
    COOKIE.encode(),
    RESPONSE[12:20],
    RESPONSE[24:40],
    CHALLENGE[52:68],
    MSK,
)

DOCUMENT = f"""<?xml version="1.0"?><wap-provisioningdoc version="1.1"><characteristic type="VERS">\
<parm name="version" value="1"/><parm name="validity" value="172800"/></characteristic>\
<characteristic type="TOKEN"><parm name="token" value="{TOKEN}"/></characteristic>\
<characteristic type="APPLICATION"><parm name="AppID" value="ap2004"/>\
<parm name="EntitlementStatus" value="1"/></characteristic></wap-provisioningdoc>"""


def relay(packet: bytes) -> bytes:
    return b'{"eap-relay-packet":"' + base64.b64encode(packet) + b'"}'


def der(number: int, packet: bytes, *more: bytes) -> bytes:
    return encode_message(
        0xC0,
        268,
        16777264,
        number,
        0x80000000 + number,
        encode_avps(
            [
                (d.SESSION_ID, SESSION_ID),
                (d.AUTH_APPLICATION_ID, 16777264),
                (d.ORIGIN_HOST, "ecs1.epc.mnc001.mcc001.3gppnetwork.org"),
                (d.ORIGIN_REALM, "epc.mnc001.mcc001.3gppnetwork.org"),
                (d.DESTINATION_REALM, "epc.mnc001.mcc001.3gppnetwork.org"),
                (d.AUTH_REQUEST_TYPE, 3),
                (d.EAP_PAYLOAD, packet),
                (d.USER_NAME, NAI),
                (d.RAT_TYPE, 0),
            ]
        )
        + b"".join(more),
    )


def dea(number: int, code: int, packet: bytes, *more: bytes) -> bytes:
    return encode_message(
        0x40,
        268,
        16777264,
        number,
        0x80000000 + number,
        encode_avps(
            [
                (d.SESSION_ID, SESSION_ID),
                (d.AUTH_APPLICATION_ID, 16777264),
                (d.AUTH_REQUEST_TYPE, 3),
                (d.RESULT_CODE, code),
                (d.ORIGIN_HOST, AAA),
                (d.ORIGIN_REALM, "epc.mnc001.mcc001.3gppnetwork.org"),
                (d.EAP_PAYLOAD, packet),
            ]
        )
        + b"".join(more),
    )


def exchange_events() -> list[TraceEvent]:
    accept = b"application/vnd.gsma.eap-relay.v1.0+json, text/vnd.wap.connectivity-xml"
    relay_type = b"application/vnd.gsma.eap-relay.v1.0+json"
    get = HttpRequest(
        b"GET",
        b"/?EAP_ID=" + NAI.replace("@", "%40").encode() + b"&app=ap2004&terminal_id=35209900176148"
        b"&entitlement_version=8.0",
        b"aes.mnc001.mcc001.pub.3gppnetwork.org",
        [(b"accept", accept), (b"user-agent", b"PRD-TS43 term-vendX/modelY OS-Android/15")],
    )
    post = HttpRequest(
        b"POST",
        b"/",
        b"aes.mnc001.mcc001.pub.3gppnetwork.org",
        [
            (b"accept", accept),
            (b"content-type", relay_type),
            (b"cookie", b"SID=" + COOKIE.encode()),
        ],
        relay(RESPONSE),
    )
    set_cookie = (b"set-cookie", b"SID=" + COOKIE.encode() + b"; Path=/; Secure; HttpOnly")
    challenge = HttpResponse(200, relay_type, relay(CHALLENGE), (set_cookie,))
    document = HttpResponse(200, b"text/vnd.wap.connectivity-xml", DOCUMENT.encode())
    msk = encode_avp(d.EAP_MASTER_SESSION_KEY, MSK)
    steps: list[tuple[float, Leg, Direction, Payload, str]] = [
        (0.0, "http", "in", get, "192.0.2.7"),
        (0.0004, "swm", "out", der(0x12, IDENTITY), AAA),
        (0.0121, "swm", "in", dea(0x12, 1001, CHALLENGE, encode_avp(d.STATE, b"st01")), AAA),
        (0.0123, "http", "out", challenge, "192.0.2.7"),
        (0.3502, "http", "in", post, "192.0.2.7"),
        (0.3505, "swm", "out", der(0x13, RESPONSE, encode_avp(d.STATE, b"st01")), AAA),
        (0.3620, "swm", "in", dea(0x13, 2001, SUCCESS, msk), AAA),
        (0.3621, "decision", "out", "ap2004 enabled: the plan has vowifi, terms accepted", ""),
        (0.3622, "http", "out", document, "192.0.2.7"),
    ]
    return [
        TraceEvent(1_764_000_000.0 + at, "op1-17", "op1", IMSI, leg, direction, payload, peer)
        for at, leg, direction, payload, peer in steps
    ]


@pytest.fixture
def exchange() -> list[TraceEvent]:
    """The events in order."""
    return exchange_events()


@pytest.fixture
def secrets() -> tuple[bytes, ...]:
    """What no trace may show unless it was asked to."""
    return SECRETS
