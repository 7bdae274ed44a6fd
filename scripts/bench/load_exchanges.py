"""What devices do in the benchmark, as generators: yield a request, get its answer.

Each answer is checked; the first wrong one ends the run, because servers that refuse are fast.
"""

import binascii
from collections.abc import Callable, Generator
from typing import Final
from urllib.parse import quote

from protocols.eap import numbers as n
from protocols.eap.aka import challenge_response
from protocols.eap.keys import aka_authentication_key
from protocols.eap.vector import CardSuccess
from scripts.bench.load_messages import Answer, LoadError, Request
from scripts.lab.subscribers import LabSubscriber
from scripts.traffic.call import USER_AGENT
from scripts.traffic.step_checks import EAP_RELAY, XML
from scripts.traffic.subscribers import Caller

Exchange = Generator[Request, Answer, None]
MakeExchange = Callable[["BenchDevice"], Exchange]

_APPS: Final = "&app=ap2004&app=ap2003&app=ap2005"
_TERMINAL: Final = (
    "&terminal_vendor=vend&terminal_model=modelY&terminal_sw_version=versionZ&vers=0"
    "&entitlement_version=8.0"
)
_RELAY: Final = EAP_RELAY.encode()
_XML: Final = XML.encode()
_FIRST_LEG: Final = ((b"user-agent", USER_AGENT), (b"accept", _RELAY))
_TOKEN_LEG: Final = ((b"user-agent", USER_AGENT), (b"accept", _XML))
_SECOND_LEG: Final = (
    (b"user-agent", USER_AGENT),
    (b"accept", _RELAY + b", " + _XML),
    (b"content-type", _RELAY),
)
_RELAY_KEY: Final = b'"eap-relay-packet"'
_BODY_START: Final = b'{"eap-relay-packet":"'
_TOKEN_START: Final = b'name="token" value="'
_STATUS_START: Final = b'name="EntitlementStatus" value="'
_ALL_APPS: Final = (b"ap2003", b"ap2004", b"ap2005")


class BenchDevice:
    """One phone; what never changes is made once.

    Attributes:
        token: for fast authentication, empty until it has authenticated.
    """

    __slots__ = ("_first", "caller", "token", "token_path")

    def __init__(self, subscriber: LabSubscriber, place: int) -> None:
        self.caller = Caller(subscriber, place)
        nai = quote(self.caller.nai, safe="")
        path = f"/?EAP_ID={nai}&terminal_id={self.caller.imei}{_APPS}{_TERMINAL}"
        self._first = Request(b"GET", path.encode(), _FIRST_LEG)
        self.token = b""
        self.token_path = b""

    def authenticate(self) -> Exchange:
        """GET with EAP_ID, challenge, POST, document."""
        answer = yield self._first
        if answer.status != 200 or answer.content_type != _RELAY:
            raise LoadError(f"no challenge, but {answer.status}: {answer.body[:100]!r}")
        # JSON with or without a space after the colon: servers differ.
        _, _, value = answer.body.partition(_RELAY_KEY)
        packet = binascii.a2b_base64(_between(value, b'"', b'"'))
        body = b'%b%b"}' % (_BODY_START, binascii.b2a_base64(self._respond(packet), newline=False))
        answer = yield Request(b"POST", b"/", (*_SECOND_LEG, (b"cookie", answer.cookie)), body)
        _check_document(answer)
        self.token = _between(answer.body, _TOKEN_START, b'"')

    def refresh(self) -> Exchange:
        """GET with the token, document."""
        answer = yield Request(b"GET", self.token_path, _TOKEN_LEG)
        _check_document(answer)

    def use_token(self) -> None:
        """From now on `refresh` uses the token it got.

        Raises:
            LoadError: it got none.
        """
        if not self.token:
            raise LoadError("the document had no token")
        caller = self.caller
        path = f"/?token={self.token.decode()}&IMSI={caller.imsi}&terminal_id={caller.imei}"
        self.token_path = f"{path}{_APPS}{_TERMINAL}".encode()

    def _respond(self, packet: bytes) -> bytes:
        """RES for a challenge with AT_RAND and AT_AUTN at the places where phones read them."""
        if packet[0] != n.REQUEST or packet[4:6] != bytes((n.EAP_AKA, n.CHALLENGE)):
            raise LoadError("not a challenge")
        found = self.caller.card.authenticate(packet[12:28], packet[32:48])
        if not isinstance(found, CardSuccess):
            raise LoadError("the card refuses the challenge")
        k_aut = aka_authentication_key(self.caller.nai.encode(), found.ik, found.ck)
        return challenge_response(packet[1], n.EAP_AKA, found.res, k_aut)


def _between(text: bytes, start: bytes, end: bytes) -> bytes:
    _, found, rest = text.partition(start)
    value, closed, _ = rest.partition(end)
    if not found or not closed:
        raise LoadError(f"no {start!r} in the answer")
    return value


def _check_document(answer: Answer) -> None:
    if answer.status != 200 or not answer.content_type.startswith(_XML):
        raise LoadError(f"no document, but {answer.status}: {answer.body[:100]!r}")
    # ENABLED, each: the document of a stranger or of a poor plan is shorter, and no comparison.
    for app in _ALL_APPS:
        _, found, rest = answer.body.partition(b'value="%b"' % app)
        status = _between(rest, _STATUS_START, b'"') if found else b"none"
        if status != b"1":
            raise LoadError(f"EntitlementStatus of {app.decode()} is {status.decode()}")
