"""A small entitlement server without Diameter, for tests of phones: what it is told to answer."""

import base64
import datetime
import json
import ssl
import urllib.parse
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from actors.runtime.turn import Turn
from config.model import Certificate
from config.model import DeviceListener as Settings
from node.device.certificates import make_lab_certificates
from node.device.exchange import Exchange
from node.device.listener import DeviceListener
from protocols.eap.aka_server import (
    AkaServer,
    Failed,
    FetchVector,
    Output,
    SendRequest,
    ServerOptions,
    Succeeded,
)
from protocols.eap.milenage import milenage
from protocols.eap.packet import identity_response
from protocols.http.message import HttpRequest, HttpResponse, text_response
from scripts.lab.device_http import tls_context
from scripts.lab.phone import Target
from scripts.lab.phone_habits import EAP_RELAY, XML
from scripts.lab.subscribers import OPC, K

HOST = "aes.mnc001.mcc001.pub.3gppnetwork.org"
AMF = b"\x80\0"

DOCUMENT = b"""<?xml version="1.0"?>
<wap-provisioningdoc version="1.1">
<characteristic type="VERS">
<parm name="version" value="3"/>
<parm name="validity" value="172800"/>
</characteristic>
<characteristic type="TOKEN">
<parm name="token" value="Zk3_x-9"/>
<parm name="validity" value="3600"/>
</characteristic>
<characteristic type="APPLICATION">
<parm name="AppID" value="ap2003"/>
<characteristic type="VoiceOverCellularEntitleInfo">
<characteristic type="RATVoiceEntitleInfoDetails">
<parm name="AccessType" value="1"/>
</characteristic>
</characteristic>
</characteristic>
<characteristic type="APPLICATION">
<parm name="AppID" value="ap2004"/>
<parm name="EntitlementStatus" value="1"/>
</characteristic>
</wap-provisioningdoc>
"""

JSON_DOCUMENT = {
    "Vers": {"version": "3", "validity": "172800"},
    "Token": {"token": "Zk3_x-9"},
    "ap2004": {"EntitlementStatus": "1"},
}


@dataclass
class FakeEcs:
    """The server, and what it was asked.

    Attributes:
        options: of the EAP server. sqn: of the network.
        resynchronises: take over what AUTS says; else every new vector is stale again.
        respond: changes a response before it leaves; gets (request number, response).
    """

    options: ServerOptions = field(default_factory=ServerOptions)
    sqn: int = 0
    resynchronises: bool = True
    document: bytes = DOCUMENT
    document_type: bytes = XML
    set_cookies: tuple[bytes, ...] = (b"SID=abc_-1; Path=/; HttpOnly", b"B=2; Secure")
    respond: Callable[[int, HttpResponse], HttpResponse | None] = lambda number, response: response
    requests: list[HttpRequest] = field(default_factory=list)
    parameters: list[dict[str, list[str]]] = field(default_factory=list)
    server: AkaServer | None = None
    nai: str = ""

    def handle(self, request: HttpRequest, exchange: Exchange) -> None:
        self.requests.append(request)
        response = self.respond(len(self.requests), self._serve(request))
        if response is not None:
            exchange.answer(response)

    def _serve(self, request: HttpRequest) -> HttpResponse:
        if request.header(b"content-type") == EAP_RELAY:
            packet = base64.b64decode(json.loads(request.body)["eap-relay-packet"])
            assert self.server is not None
            return self._response(self.server.receive(packet), first=False)
        given = self._parameters(request)
        self.parameters.append(given)
        if "token" in given:
            return HttpResponse(200, self.document_type, self.document)
        self.nai = given["EAP_ID"][0]
        self.server = AkaServer(self.options)
        return self._response(self.server.receive(identity_response(0, self.nai)), first=True)

    def _parameters(self, request: HttpRequest) -> dict[str, list[str]]:
        if request.method == b"POST":
            return {name: [value] for name, value in json.loads(request.body).items()}
        query = request.target.decode().partition("?")[2]
        return urllib.parse.parse_qs(query, strict_parsing=True)

    def _response(self, output: Output, first: bool) -> HttpResponse:
        card = milenage(K, OPC)
        match output:
            case FetchVector(_, rand, auts):
                assert self.server is not None
                if auts and self.resynchronises:
                    found = card.sqn_of_auts(rand, auts)
                    assert found is not None
                    self.sqn = found
                self.sqn += 0x20
                vector = card.vector(bytes(16), self.sqn, AMF)
                return self._response(self.server.vector_found(vector), first)
            case SendRequest(packet):
                body = json.dumps({"eap-relay-packet": base64.b64encode(packet).decode()})
                cookies = tuple((b"set-cookie", line) for line in self.set_cookies)
                headers = cookies if first else ((b"set-cookie", b"other=1"),)
                return HttpResponse(200, EAP_RELAY, body.encode(), headers)
            case Succeeded():
                return HttpResponse(200, self.document_type, self.document)
            case Failed(_, reason):
                return text_response(403, reason.value)


class LabTls:
    """A CA and certificate of the lab, and clients that trust it."""

    def __init__(self, folder: Path) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.authority, self.chain, self.key = make_lab_certificates(folder, [HOST], now)

    def client(self, *, http2: bool = True) -> ssl.SSLContext:
        return tls_context(str(self.authority), http2=http2)


@asynccontextmanager
async def serving(ecs: FakeEcs, tls: LabTls, *, http2: bool = True) -> AsyncIterator[Target]:
    """The server behind the node's device listener, over TLS on a free port."""
    crashes: list[Exception] = []
    certificate = Certificate(chain=str(tls.chain), key=str(tls.key))
    settings = Settings(listen=("127.0.0.1:0",), certificates=(certificate,))
    listener = DeviceListener(settings, ecs.handle, Turn(crashes.append))
    async with trio.open_nursery() as nursery:
        (address,) = await nursery.start(listener.run)
        port = int(address.rpartition(":")[2])
        yield Target(("127.0.0.1", port), HOST, tls.client(http2=http2))
        nursery.cancel_scope.cancel()
    assert crashes == []
