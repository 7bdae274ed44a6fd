"""A node and its AAA in memory, behind the `Device` seam: real EAP-AKA, no sockets."""

import base64
import itertools
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import msgspec
import trio

from protocols.eap import aka_server
from protocols.eap.milenage import milenage
from protocols.eap.packet import identity_response
from scripts.lab.device_http import Response
from scripts.lab.subscribers import OPC, K
from scripts.traffic.device import Device, Field
from scripts.traffic.step_checks import EAP_RELAY, XML

DOCUMENT = (
    b'<?xml version="1.0"?><wap-provisioningdoc version="1.1">'
    b'<characteristic type="VERS"><parm name="version" value="1"/>'
    b'<parm name="validity" value="172800"/></characteristic>'
    b'<characteristic type="TOKEN"><parm name="token" value="TOKEN-1"/></characteristic>'
    b'<characteristic type="APPLICATION"><parm name="AppID" value="ap2004"/>'
    b'<parm name="EntitlementStatus" value="1"/></characteristic>'
    b'<characteristic type="APPLICATION"><parm name="AppID" value="ap2003"/>'
    b'<characteristic type="VoiceOverCellularEntitleInfo">'
    b'<characteristic type="RATVoiceEntitleInfoDetails">'
    b'<parm name="AccessType" value="1"/><parm name="EntitlementStatus" value="0"/>'
    b"</characteristic></characteristic></characteristic>"
    b'<characteristic type="APPLICATION"><parm name="AppID" value="ap2005"/>'
    b'<parm name="EntitlementStatus" value="1"/></characteristic>'
    b"</wap-provisioningdoc>"
)


def respond(status: int, content_type: str = "", body: bytes = b"", *more: Field) -> Response:
    return Response(status, [(b"content-type", content_type.encode()), *more], body)


class FakeNode:
    """Answers requests after `delay` seconds.

    Attributes:
        forced: answer everything with this.
        requests: (method, path, headers, body) in order.
    """

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.forced: Response | None = None
        self.document = respond(200, XML, DOCUMENT)
        self.requests: list[tuple[bytes, bytes, dict[bytes, bytes], bytes]] = []
        self.opened = self.closed = 0
        self._sqn: dict[str, int] = {}  # by identity
        self._cookies = itertools.count(1)
        self._exchanges: dict[bytes, aka_server.AkaServer] = {}

    async def open(self) -> Device:
        self.opened += 1
        return FakeDevice(self)

    async def serve(
        self, method: bytes, path: bytes, headers: Sequence[Field], body: bytes
    ) -> Response:
        fields = dict(headers)
        self.requests.append((method, path, fields, body))
        await trio.sleep(self.delay)
        if self.forced is not None:
            return self.forced
        query = parse_qs(urlsplit(path.decode()).query)
        if "EAP_ID" in query:
            cookie = b"SID=%d" % next(self._cookies)
            server = self._exchanges[cookie] = aka_server.AkaServer(aka_server.ServerOptions())
            return self._eap(server, identity_response(1, query["EAP_ID"][0]), cookie)
        if "token" in query:
            return self.document if query["token"] == ["TOKEN-1"] else respond(511)
        if fields.get(b"content-type") == EAP_RELAY.encode():
            cookie = fields[b"cookie"]
            packet = base64.b64decode(msgspec.json.decode(body)["eap-relay-packet"])
            return self._eap(self._exchanges[cookie], packet, cookie)
        return respond(400)

    def _eap(self, server: aka_server.AkaServer, answer: bytes, cookie: bytes) -> Response:
        found = server.receive(answer)
        if isinstance(found, aka_server.FetchVector):
            if found.auts:
                sqn = milenage(K, OPC).sqn_of_auts(found.rand, found.auts)
                assert sqn is not None
                self._sqn[found.identity] = sqn
            sqn = self._sqn[found.identity] = self._sqn.get(found.identity, 0) + 32
            found = server.vector_found(milenage(K, OPC).vector(bytes(16), sqn, b"\x80\0"))
        if isinstance(found, aka_server.SendRequest):
            body = msgspec.json.encode(
                {"eap-relay-packet": base64.b64encode(found.packet).decode()}
            )
            return respond(200, EAP_RELAY, body, (b"set-cookie", cookie + b"; Path=/; Secure"))
        return self.document if isinstance(found, aka_server.Succeeded) else respond(403)


class FakeDevice:
    """One connection to it."""

    def __init__(self, node: FakeNode) -> None:
        self._node = node

    async def request(
        self, method: bytes, path: bytes, headers: Sequence[Field], body: bytes
    ) -> Response:
        return await self._node.serve(method, path, headers, body)

    def close(self) -> None:
        self._node.closed += 1
