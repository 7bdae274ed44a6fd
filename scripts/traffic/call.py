"""One call: walks through the steps of a scenario as one phone of one subscriber.

Headers and parameters are those of AOSP's IMS entitlement client (TS.43 §2.3, §2.8.1).
"""

import binascii
import secrets
from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
import trio

from scripts.lab.device_http import Response
from scripts.traffic import documents
from scripts.traffic.device import Device, Field, OpenDevice
from scripts.traffic.eap_answers import answer
from scripts.traffic.outcome import CallFailed, Reason
from scripts.traffic.statistics import CallRecord
from scripts.traffic.step_checks import EAP_RELAY, XML
from scripts.traffic.steps import (
    Abandon,
    Answer,
    AnswerKind,
    Authentication,
    Expect,
    Pause,
    Send,
    Step,
)
from scripts.traffic.subscribers import Caller

MAX_CHALLENGES: Final = 4  # AOSP answers the first and three more
MAX_RESYNCHRONISATIONS: Final = 2

USER_AGENT: Final = b"PRD-TS43 term-vend/modelY IMS-Entitlement/6.0 OS-Android/14"
TERMINAL: Final = {
    "terminal_vendor": "vend",
    "terminal_model": "modelY",
    "terminal_sw_version": "versionZ",
    "vers": "0",
    "entitlement_version": "8.0",
}
_RELAY_ACCEPT: Final = f"{EAP_RELAY}, {XML}".encode()
_RESYNC_ACCEPT: Final = EAP_RELAY.encode()  # AOSP: after AUTS only a challenge will do


Checks = tuple[tuple[tuple[str, str], str], ...]


class _RelayBody(msgspec.Struct):
    """{"eap-relay-packet": base64} of TS.43 §2.8.1."""

    packet: str = msgspec.field(name="eap-relay-packet", default="")


_relay_bodies: Final = msgspec.json.Decoder(_RelayBody)


class Call:
    """The state of one call."""

    __slots__ = (
        "_answered_eap",
        "_base",
        "_caller",
        "_challenge",
        "_cookies",
        "_device",
        "_document",
        "_first",
        "_last",
        "_open",
        "_path",
        "_record",
        "_response",
        "_resynchronisations",
        "_since",
        "_variables",
        "_waits_for_challenge",
    )

    def __init__(
        self, caller: Caller, record: CallRecord, open_device: OpenDevice, base: str, began: float
    ) -> None:
        """Prepare.

        Args:
            base: path of the service, without a slash at its end.
            began: Trio time of the begin of the traffic.
        """
        self._caller = caller
        self._record = record
        self._open = open_device
        self._base = base
        self._device: Device | None = None
        self._document: list[documents.Parameter] = []
        self._last: Send | None = None
        self._variables: dict[str, str] = {}
        self._path = b"/"
        self._cookies: list[Field] = []
        self._response: Response | None = None
        self._challenge = b""
        self._answered_eap = False  # the last request carried an EAP packet
        self._waits_for_challenge = False  # the last request carried AUTS
        self._resynchronisations = 0
        self._since = began + record.due  # of the current leg; the first counts from when due
        self._first = True

    async def run(self, steps: Sequence[Step]) -> None:
        """Make all steps.

        Raises:
            CallFailed: the call did not do what the scenario wants.
        """
        try:
            for step in steps:
                match step:
                    case Send():
                        await self._send(step)
                    case Answer(kind):
                        await self._answer(kind)
                    case Expect():
                        await self._expect(step)
                    case Pause(seconds):
                        await trio.sleep(seconds)
                    case Abandon():
                        return
        finally:
            self._close()

    # --- requests ------------------------------------------------------------------------------

    async def _send(self, step: Send) -> None:
        if step.new_connection:
            self._close()
        self._last = step
        self._cookies.clear()
        self._answered_eap = self._waits_for_challenge = False
        self._path = (self._base + step.path).encode()
        parameters = self._parameters(step)
        headers = [(b"user-agent", USER_AGENT), (b"accept", step.accept.encode())]
        if step.method == "GET":
            query = urlencode(parameters, quote_via=quote, safe="")
            await self._exchange(b"GET", self._path + b"?" + query.encode(), headers, b"")
            return
        names = dict(parameters)
        body: dict[str, object] = {**names}
        if len(step.apps) > 1:
            body["app"] = list(step.apps)
        headers.append((b"content-type", b"application/json"))
        await self._exchange(b"POST", self._path, headers, msgspec.json.encode(body))

    def _parameters(self, step: Send) -> list[tuple[str, str]]:
        caller = self._caller
        parameters: list[tuple[str, str]] = []
        if step.authentication is Authentication.EAP_AKA:
            parameters.append(("EAP_ID", caller.nai))
        elif step.authentication is Authentication.TOKEN:
            if not caller.token:
                raise CallFailed(Reason.CHECK, "the subscriber has no token yet")
            parameters += [("token", caller.token), ("IMSI", caller.imsi)]
        named = {name: self._filled(value) for name, value in step.parameters}
        parameters.append(("terminal_id", named.pop("terminal_id", caller.imei)))
        parameters += [("app", app) for app in step.apps]
        parameters += (TERMINAL | named).items()
        return parameters

    def _filled(self, value: str) -> str:
        """A parameter with what its names stand for."""
        if "{" not in value:
            return value
        if not self._variables:
            self._variables = _variables(self._caller)
        try:
            return value.format_map(self._variables)
        except KeyError as error:
            raise CallFailed(Reason.CHECK, f"nothing was captured as {error}") from None

    async def _answer(self, kind: AnswerKind) -> None:
        packet, resynchronises = answer(self._challenge, self._caller.card, self._caller.nai, kind)
        if resynchronises:
            self._resynchronisations += 1
            if self._resynchronisations > MAX_RESYNCHRONISATIONS:
                raise CallFailed(Reason.RESYNC, "the card is still out of step with its network")
            self._record.resynchronised()
        encoded = binascii.b2a_base64(packet, newline=False)
        headers = [
            (b"user-agent", USER_AGENT),
            (b"accept", _RESYNC_ACCEPT if resynchronises else _RELAY_ACCEPT),
            (b"content-type", _RESYNC_ACCEPT),
            *self._cookies,
        ]
        self._answered_eap = True
        self._waits_for_challenge = resynchronises
        body = b'{"eap-relay-packet":"%b"}' % encoded
        await self._exchange(b"POST", self._path, headers, body)

    async def _exchange(
        self, method: bytes, path: bytes, headers: list[Field], body: bytes
    ) -> None:
        if not self._first:
            self._since = trio.current_time()
        self._first = False
        if self._device is None:
            begin = trio.current_time()
            self._device = await self._open()
            self._record.timer("connect", trio.current_time() - begin)
        self._response = await self._device.request(method, path, headers, body)

    def _close(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None

    # --- answers -------------------------------------------------------------------------------

    async def _expect(self, step: Expect) -> None:
        begin = self._since
        await self._expect_once(step)
        for _ in range(step.most):
            if not step.until or self._wrong(step.until) is None:
                break
            await trio.sleep(step.every)
            if self._last is not None:
                await self._send(self._last)
                await self._expect_once(step)
        wrong = self._wrong(step.until)
        if wrong is not None:
            raise CallFailed(Reason.CHECK, f"after {step.most} repetitions: {wrong}")
        for name, place in step.captures:
            self._capture(name, place)
        if step.timer:
            self._record.timer(step.timer, trio.current_time() - begin)

    async def _expect_once(self, step: Expect) -> None:
        response = self._received()
        if not step.challenge:
            answered = 0
            while _is_challenge(response) and answered < MAX_CHALLENGES:
                # Not what the scenario waits for, so the phone does what phones do.
                self._take_challenge(response)
                self._record.timer("challenge", trio.current_time() - self._since)
                await self._answer(AnswerKind.RES)
                answered += 1
                response = self._received()
            if answered and response.status == step.status:
                self._record.timer("authenticate", trio.current_time() - self._since)
        self._check_status(step, response)
        if _is_challenge(response):
            if not step.challenge:
                raise CallFailed(Reason.CHECK, "one challenge too many")
            self._take_challenge(response)
        elif step.challenge or self._waits_for_challenge:
            raise CallFailed(Reason.CHECK, f"no challenge, but {_content_type(response)!r}")
        elif response.status == 200:
            self._take_document(step, response)

    def _received(self) -> Response:
        if self._response is None:
            raise CallFailed(Reason.CHECK, "nothing was sent")
        response = self._response
        if self._waits_for_challenge and not (response.status == 200 and _is_challenge(response)):
            raise CallFailed(Reason.RESYNC, f"status {response.status} instead of a new challenge")
        return response

    def _check_status(self, step: Expect, response: Response) -> None:
        status = response.status
        if status == step.status:
            return
        text = f"status {status}, {step.status} was expected"
        if status == 403 and self._answered_eap:
            raise CallFailed(Reason.EAP_REJECT, text)
        if 400 <= status < 500:
            raise CallFailed(Reason.CLIENT_ERROR, text)
        raise CallFailed(Reason.SERVER_ERROR if status >= 500 else Reason.CHECK, text)

    def _take_challenge(self, response: Response) -> None:
        try:
            body = _relay_bodies.decode(response.body)
            self._challenge = binascii.a2b_base64(body.packet, strict_mode=True)
        except (msgspec.DecodeError, ValueError):
            raise CallFailed(Reason.MALFORMED, "no eap-relay-packet in the challenge") from None
        if not self._cookies:  # AOSP keeps those of the first answer, whatever comes later
            self._cookies = [
                (b"cookie", value.partition(b";")[0]) for value in response.all(b"set-cookie")
            ]

    def _take_document(self, step: Expect, response: Response) -> None:
        kind = _content_type(response)
        if step.content_type and kind != step.content_type:
            raise CallFailed(Reason.CHECK, f"content type {kind!r}")
        try:
            self._document = documents.parameters(kind, response.body)
        except documents.NotADocument as error:
            raise CallFailed(Reason.MALFORMED, f"document: {error}") from None
        self._caller.token = documents.token_of(self._document) or self._caller.token
        wrong = self._wrong(step.checks)
        if wrong is not None:
            raise CallFailed(Reason.CHECK, wrong)

    def _wrong(self, checks: Checks) -> str | None:
        """What does not hold in the last document."""
        for (application, name), wanted in checks:
            found = self._values(application, name)
            where = f"{application}.{name}" if application else name
            if not found:
                return f"the document has no {where}"
            if wanted != "*" and any(value != wanted for value in found):
                return f"{where} is not always {wanted!r}"
        return None

    def _values(self, application: str, name: str) -> list[str]:
        return [
            value
            for part, parm, value in self._document
            if parm == name and application in ("", part)
        ]

    def _capture(self, name: str, place: tuple[str, str]) -> None:
        found = self._values(*place)
        if not found:
            raise CallFailed(Reason.CHECK, f"the document has no {'.'.join(place)}")
        if not self._variables:
            self._variables = _variables(self._caller)
        self._variables[name] = found[0]


def _variables(caller: Caller) -> dict[str, str]:
    """Who calls, and devices that nobody has seen before."""
    number = secrets.randbelow(10**24)
    return {
        "imsi": caller.imsi,
        "imei": caller.imei,
        "watch": f"35700000{number % 10**6:06}0",
        "new_phone": f"35800000{number % 10**6:06}0",
        "eid": f"89049032{number:024}",
    }


def _content_type(response: Response) -> str:
    return (response.header(b"content-type") or b"").partition(b";")[0].strip().decode("latin-1")


def _is_challenge(response: Response) -> bool:
    return response.status == 200 and _content_type(response) == EAP_RELAY
