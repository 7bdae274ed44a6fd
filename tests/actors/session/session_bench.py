"""What the session tests share: packets of the AOSP vector, requests, exchanges, a tenant."""

import base64
import os
from collections.abc import Callable
from typing import Any

from actors.backends.bss import Plan, Subscriber, SubscriberStatus
from actors.diameter.outcomes import EapAnswer
from actors.session.actor import SessionActor
from actors.session.authentication import Conversation
from actors.session.messages import Effect, Message
from actors.session.session import Rules
from actors.session.user_data import UserDataSeal
from config.model import Authentication, Sessions, Tenant
from protocols.http.message import HttpRequest, HttpResponse
from protocols.ts43.request import EapRelayAnswer, Ts43Request, parse_request

NAI = "0001010000000001@nai.epc.mnc001.mcc001.3gppnetwork.org"
IMSI = "001010000000001"
IMEI = "350000000000018"
AAA_HOST = b"aaa1.epc.mnc001.mcc001.3gppnetwork.org"

CHALLENGE = bytes.fromhex(
    "0102007c17010000010500005ce6529028f1cac804e37196a8726f81020500006b8a4586ade90000b354e13c6608"
    "33e80b05000094f49ea5de01896acd3d1419720d10d581050000ef3ddf8489a4abebdc08a58864176fb982090000"
    "0f454169eca585a3e4e1afbf108fd844901db30348ba29a90e0ecb9f042f8125"
)
ANSWER = bytes.fromhex(
    "020200281701000003030040c79f02a59fc9a38f0b0500001c141bddde8bef2e502fb6793808de7c"
)
RESYNC = bytes.fromhex("0202001817040000040433d58d39619c213367e376115315")
AKA_IDENTITY = bytes.fromhex("0164000c170500000d010000")
NOTIFICATION_SUCCESS = bytes.fromhex(
    "01660020170c00000c0180000b05000003d48194a94f43bbebe3fc96e79ed4aa"
)
CHALLENGE_PRIME = bytes((1, 7, 0, 12, 50, 1, 0, 0, 24, 1, 0, 1))

TENANT = Tenant(id="mno", plmns=("00101",))
GOLD = Plan("gold", "Gold", frozenset({"volte", "vonr", "vowifi", "smsoip", "5gsa"}))
SUBSCRIBER = Subscriber("mno", IMSI, "491700000001", "", "gold", SubscriberStatus.ACTIVE)


class FakeExchange:
    """An exchange whose answer the test reads."""

    def __init__(self) -> None:
        self.answers: list[HttpResponse] = []
        self.on_gone: Callable[[], None] | None = None
        self.gone = False
        self.server_name = "localhost"
        self.peer = "127.0.0.1"
        self.http_version = "2"

    def answer(self, response: HttpResponse) -> None:
        self.answers.append(response)
        self.gone = True

    def leave(self) -> None:
        """The device went away."""
        self.gone = True
        if self.on_gone is not None:
            self.on_gone()


def get(**parameters: str) -> Ts43Request:
    """A GET for VoWiFi with EAP_ID, or what `parameters` change."""
    given = {
        "EAP_ID": NAI,
        "terminal_id": IMEI,
        "app": "ap2004",
        "entitlement_version": "8.0",
        **parameters,
    }
    query = "&".join(f"{name}={value}" for name, value in given.items() if value)
    parsed = parse_request(HttpRequest(b"GET", f"/?{query}".encode(), b"localhost", []))
    assert isinstance(parsed, Ts43Request)
    return parsed


def post(packet: bytes, *cookies: str) -> EapRelayAnswer:
    """The POST that carries an EAP packet."""
    body = b'{"eap-relay-packet":"%s"}' % base64.b64encode(packet)
    headers = [(b"cookie", b"SID=" + cookie.encode()) for cookie in cookies]
    parsed = parse_request(HttpRequest(b"POST", b"/", b"localhost", headers, body))
    assert isinstance(parsed, EapRelayAnswer)
    return parsed


def dea(code: int, payload: bytes = b"", *, vendor: int = 0, **more: Any) -> EapAnswer:  # noqa: ANN401
    """A DEA with a State, as an AAA sends it."""
    more.setdefault("state", b"st01")
    more.setdefault("origin_host", AAA_HOST)
    return EapAnswer(vendor, code, payload, **more)


class Bench:
    """One session, the effects of its last message, and a clock."""

    def __init__(
        self, tenant: Tenant = TENANT, *, limits: Sessions | None = None, by_token: bool = False
    ) -> None:
        self.now = 100.0
        self.rules = Rules(
            limits or Sessions(),
            tenant_of=lambda imsi, candidate: candidate if imsi.startswith("00101") else None,
            jitter=lambda: 0.5,
            wall_clock=lambda: 1_790_000_000.0,
            user_data=UserDataSeal((bytes(32),), os.urandom),
        )
        conversation = (
            None if by_token else Conversation(NAI, tenant.authentication, b"ecs1;1;1;ecs1-1")
        )
        self.session = SessionActor(tenant, self.rules, "1", conversation)
        self.effects: list[Effect] = []

    def tell(self, message: Message) -> list[Effect]:
        """Give the session a message; its effects."""
        self.effects = list(self.session.receive(message, self.now))
        return self.effects

    def only(self, kind: type) -> Any:  # noqa: ANN401
        """The one effect of a kind among those of the last message."""
        (found,) = [one for one in self.effects if isinstance(one, kind)]
        return found

    def has(self, kind: type) -> bool:
        """Whether the last message led to an effect of a kind."""
        return any(isinstance(one, kind) for one in self.effects)


def tenant_with(**authentication: Any) -> Tenant:  # noqa: ANN401
    """The tenant with other authentication settings."""
    return Tenant(id="mno", plmns=("00101",), authentication=Authentication(**authentication))
