"""The ES2+ server of the lab's SM-DP+ as an ASGI application, and its books.

JSON is read and written by the standard library, not by the node's codec: two readings of SGP.22
meet on the wire.
"""

import json
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Final

import trio
import trio.lowlevel
from cryptography import x509

from node.partner.listener import CLIENT_CERTIFICATE, MutualTlsListener, SslStream, Stream
from scripts.lab.smdp_plus_behaviour import Behaviour, Behaviours
from scripts.lab.smdp_plus_profiles import Inventory, Refusal

BASE: Final = "/gsma/rsp2/es2plus/"
FUNCTIONS: Final = (
    "downloadOrder", "confirmOrder", "releaseProfile", "cancelOrder", "getProfileStatus",
)  # fmt: skip
STREAM: Final = "stream"
HUGE_OCTETS: Final = 100_000_000

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class ReceivedCall:
    """One request as it came.

    Attributes:
        function: the path's last element.
        client: common name of the client certificate.
        headers: lower-case names.
        raw: the body's octets.
        fields: the body's JSON; empty when it is none.
        executed: it changed something, or would have.
        result: `Executed-Success`, `Failed 8.2.1/3.9`, `HTTP 400`, …
        http_version: 1.1 or 2.
    """

    function: str
    path: str
    client: str
    headers: dict[str, str]
    raw: bytes
    fields: dict[str, Any]
    http_version: str
    executed: bool = False
    result: str = ""

    @property
    def call_id(self) -> str:
        """functionCallIdentifier"""
        return str(self.fields.get("header", {}).get("functionCallIdentifier", ""))


@dataclass(slots=True)
class Books:
    """Everything that came, in its order."""

    calls: list[ReceivedCall] = field(default_factory=list)

    def of(self, function: str) -> list[ReceivedCall]:
        """Calls of one function."""
        return [call for call in self.calls if call.function == function]

    def order(self) -> list[str]:
        """The functions as they were called."""
        return [call.function for call in self.calls]

    def counts(self) -> dict[str, int]:
        """Function and result to how often."""
        counts: dict[str, int] = {}
        for call in self.calls:
            key = f"{call.function} {call.result}"
            counts[key] = counts.get(key, 0) + 1
        return counts


class LabListener(MutualTlsListener):
    """Lets the application reset a connection."""

    def connection_state(self, stream: Stream) -> dict[str, Any]:
        """The stream besides the certificate."""
        return super().connection_state(stream) | {STREAM: stream}


class SmdpPlusServer:
    """Answers the operator's functions.

    Attributes:
        inventory: the profiles.
        behaviours: on demand.
        books: what came.
        version: in X-Admin-Protocol.
        prefix: before the standard's path.
        after_execution: awaited before the answer goes out.
    """

    def __init__(
        self, inventory: Inventory, behaviours: Behaviours | None = None, *, prefix: str = ""
    ) -> None:
        self.inventory = inventory
        self.behaviours = behaviours or Behaviours()
        self.books = Books()
        self.version = "2.5.0"
        self.prefix = prefix
        self.after_execution: Callable[[ReceivedCall, Behaviour], Awaitable[None]] | None = None
        self._answers: dict[str, tuple[dict[str, Any], str]] = {}

    async def app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        body = await _body(receive)
        call = _call(scope, body)
        self.books.calls.append(call)
        if scope["method"] != "POST" or not self._knows(call):
            call.result = "HTTP 404"
            await _page(send, 404)
            return
        fields = _object(body)
        if fields is None or not _has_header(fields):
            # As pySim does it: a body that its schema does not allow is 500 with HTML.
            call.result = "HTTP 500"
            await _page(send, 500)
            return
        call.fields = fields
        await self._serve(call, scope, receive, send)

    def _knows(self, call: ReceivedCall) -> bool:
        expected = f"{self.prefix}{BASE}{call.function}"
        return call.function in FUNCTIONS and call.path == expected

    async def _serve(
        self, call: ReceivedCall, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        names = (str(call.fields.get("iccid", "")).rstrip("F"), str(call.fields.get("eid", "")))
        how = self.behaviours.of(call.function, names)
        if how.delay:
            await trio.sleep(how.delay)
        if how.lost:
            call.result = "lost"
            await _silence(receive)
            return
        if how.http:
            call.result = f"HTTP {how.http}"
            extra = [(b"retry-after", how.retry_after.encode())] if how.retry_after else []
            await _page(send, how.http, extra)
            return
        answer = self._executed(call, how)
        if self.after_execution is not None and call.executed:
            await self.after_execution(call, how)
        if how.late:
            await trio.sleep(how.late)
        if how.silent:
            await _silence(receive)
        elif how.reset:
            await _reset(scope["state"][STREAM])
        elif how.redirect:
            await _page(send, 307, [(b"location", how.redirect.encode())])
        elif how.broken:
            await _page(send, how.broken)
        else:
            await self._answer(answer, how, send)

    def _executed(self, call: ReceivedCall, how: Behaviour) -> dict[str, Any]:
        known = self._answers.get(call.call_id)
        if how.repeatable and known is not None:
            answer, call.result = known
            return answer
        if how.refuse:
            call.result = f"Failed {how.refuse}"
            return _failed(how.refuse, "on demand", bare=how.bare)
        try:
            fields = self.inventory.execute(call.function, call.fields)
        except Refusal as refusal:
            call.result = f"Failed {refusal.code}"
            return _failed(refusal.code, refusal.message)
        except (KeyError, TypeError, AttributeError) as error:
            call.result = "Failed 1.3.1/2.2"
            return _failed("1.3.1/2.2", f"{error} is missing")
        call.executed = True
        call.result = how.status or "Executed-Success"
        answer = {"header": {"functionExecutionStatus": {"status": call.result}}, **fields}
        self._answers[call.call_id] = (answer, call.result)
        return answer

    async def _answer(self, answer: dict[str, Any], how: Behaviour, send: Send) -> None:
        answer = _bent(answer, how)
        body = json.dumps(answer, ensure_ascii=False).encode()
        if how.truncated:
            body = body[: len(body) // 2]
        headers = [
            (
                b"content-type",
                b"application/json;charset=UTF-8" if how.charset else b"application/json",
            )
        ]
        if not how.no_version:
            version = how.version or self.version
            headers.append((b"x-admin-protocol", f"gsma/rsp/v{version}".encode()))
        if how.huge:
            await _huge(send, headers)
            return
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if how.drip:
            for octet in body:
                await send(
                    {"type": "http.response.body", "body": bytes([octet]), "more_body": True}
                )
                await trio.sleep(how.drip)
            body = b""
        await send({"type": "http.response.body", "body": body})


def _call(scope: dict[str, Any], body: bytes) -> ReceivedCall:
    certificate = scope.get("state", {}).get(CLIENT_CERTIFICATE)
    client = ""
    if certificate:
        subject = x509.load_der_x509_certificate(certificate).subject
        client = str(next(iter(subject)).value) if list(subject) else ""
    headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
    path = scope["path"]
    function = path.rpartition("/")[2]
    return ReceivedCall(function, path, client, headers, body, {}, scope["http_version"])


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _has_header(fields: dict[str, Any]) -> bool:
    header = fields.get("header")
    names = ("functionRequesterIdentifier", "functionCallIdentifier")
    return isinstance(header, dict) and all(
        isinstance(header.get(name), str) and header[name] for name in names
    )


def _failed(code: str, message: str, *, bare: bool = False) -> dict[str, Any]:
    subject, _, reason = code.partition("/")
    status: dict[str, Any] = {"status": "Failed"}
    if not bare:
        status["statusCodeData"] = {
            "subjectCode": subject,
            "reasonCode": reason,
            "message": message,
        }
    return {"header": {"functionExecutionStatus": status}}


def _bent(answer: dict[str, Any], how: Behaviour) -> dict[str, Any]:
    """The answer with what was asked for changed."""
    answer = dict(answer)
    if "iccid" in answer and how.padded:
        answer["iccid"] = answer["iccid"].ljust(20, "F")
    if "iccid" in answer and how.other_iccid:
        answer["iccid"] = "8949009999999999990"
    if "matchingId" in answer:
        if how.other_matching_id:
            answer["matchingId"] = "OTHER-ORDER"
        if how.no_matching_id:
            del answer["matchingId"]
        if how.smdp_address:
            answer["smdpAddress"] = how.smdp_address
    return answer


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _page(send: Send, status: int, extra: list[tuple[bytes, bytes]] | None = None) -> None:
    body = f"<html><body>{status}</body></html>".encode()
    headers = [
        (b"content-type", b"text/html"),
        (b"content-length", str(len(body)).encode()),
        *(extra or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _silence(receive: Receive) -> None:
    """Until the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reset(stream: SslStream) -> None:
    socket = stream.transport_stream.socket
    socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    await trio.aclose_forcefully(stream.transport_stream)
    await trio.lowlevel.checkpoint()


async def _huge(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [*headers, (b"content-length", str(HUGE_OCTETS).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    chunk = b" " * 65_536
    for _ in range(HUGE_OCTETS // len(chunk)):
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
