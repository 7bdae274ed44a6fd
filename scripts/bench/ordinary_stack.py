"""The ordinary stack: what a Python engineer would build for this job with well-known libraries.

Quart-Trio on Hypercorn for the devices (TLS 1.3, HTTP/2), python-diameter's Node for the AAA, a
dictionary as store. It does the exchange of the benchmark, and nothing else: GET with EAP_ID, DER,
challenge; POST, DER, document with a token; document for a token. It is written to be read and to
be fair, not to be slow: the request limit that would drop requests is raised, the P-256 certificate
and the TLS settings are those of the node, answers are built without needless work.

    python -m scripts.bench.ordinary_stack --port 9443 --aaa 127.0.0.1:3868 --tls folder
"""

import base64
import itertools
import logging
import secrets
import ssl
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import trio
from diameter.message import Avp, constants
from diameter.message.commands import DiameterEapRequest
from diameter.node import Node
from diameter.node.application import ThreadingApplication
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio

EAP_RELAY: Final = "application/vnd.gsma.eap-relay.v1.0+json"
XML: Final = "text/vnd.wap.connectivity-xml"
REALM: Final = "epc.mnc001.mcc001.3gppnetwork.org"
ORIGIN_HOST: Final = "ecs9." + REALM  # another one than the node's, which has the same AAA
AAA_HOST: Final = "aaa1." + REALM
ANSWER_SECONDS: Final = 10

PARTS: Final = {
    "ap2003": (
        '<characteristic type="VoiceOverCellularEntitleInfo">'
        '<characteristic type="RATVoiceEntitleInfoDetails"><parm name="AccessType" value="1"/>'
        '<parm name="HomeRoamingNWType" value="1"/><parm name="EntitlementStatus" value="1"/>'
        "</characteristic>"
        '<characteristic type="RATVoiceEntitleInfoDetails"><parm name="AccessType" value="2"/>'
        '<parm name="HomeRoamingNWType" value="1"/><parm name="EntitlementStatus" value="1"/>'
        '<parm name="NetworkVoiceIRATCapablity" value="EPS-Fallback"/>'
        '<parm name="NetworkVoiceIRATCapability" value="EPS-Fallback"/></characteristic>'
        "</characteristic>"
    ),
    "ap2004": (
        '<parm name="EntitlementStatus" value="1"/>'
        '<parm name="ServiceFlow_URL" value="https://localhost/ws/vowifi"/>'
        '<parm name="AddrStatus" value="1"/><parm name="TC_Status" value="1"/>'
        '<parm name="ProvStatus" value="1"/>'
    ),
    "ap2005": '<parm name="EntitlementStatus" value="1"/>',
}


@dataclass
class Session:
    """What is remembered between the two legs of an authentication."""

    session_id: str
    nai: str
    terminal_id: str
    apps: list[str]
    state: bytes | None = None
    aaa_host: bytes | None = None


class Aaa:
    """The Diameter side."""

    def __init__(self, address: str, port: int) -> None:
        self.node = Node(ORIGIN_HOST, REALM, vendor_ids=[constants.VENDOR_TGPP])
        self.node.vendor_id = constants.VENDOR_TGPP
        peer = self.node.add_peer(
            f"aaa://{AAA_HOST}:{port};transport=tcp",
            REALM,
            ip_addresses=[address],
            is_persistent=True,
        )
        self.app = ThreadingApplication(constants.APP_3GPP_SWM, is_auth_application=True)
        self.node.add_application(self.app, [peer])

    def start(self) -> None:
        """Connect; returns when the AAA is ready."""
        self.node.start()
        self.app.wait_for_ready(ANSWER_SECONDS)

    def exchange(self, session: Session, eap_payload: bytes) -> Any:  # noqa: ANN401 (untyped)
        """One DER and its DEA; blocks the thread."""
        der = DiameterEapRequest()
        der.session_id = session.session_id
        der.auth_application_id = constants.APP_3GPP_SWM
        der.origin_host = ORIGIN_HOST.encode()
        der.origin_realm = REALM.encode()
        der.destination_realm = REALM.encode()
        der.auth_request_type = constants.E_AUTH_REQUEST_TYPE_AUTHORIZE_AUTHENTICATE
        der.user_name = session.nai
        der.eap_payload = eap_payload
        if session.state is not None:
            der.state = session.state
        if session.aaa_host is not None:
            der.destination_host = session.aaa_host
        der.append_avp(
            Avp.new(constants.AVP_TGPP_RAT_TYPE, constants.VENDOR_TGPP, 0, is_mandatory=False)
        )
        return self.app.send_request(der, timeout=ANSWER_SECONDS)


class Store:
    """Sessions by cookie and subscribers by token, in memory."""

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.tokens: dict[str, tuple[str, str]] = {}


def document(apps: list[str], token: str) -> Response:
    """The entitlement document."""
    parts = "".join(
        f'<characteristic type="APPLICATION"><parm name="AppID" value="{app}"/>{PARTS[app]}'
        "</characteristic>"
        for app in apps
    )
    body = (
        '<?xml version="1.0"?><wap-provisioningdoc version="1.1">'
        '<characteristic type="VERS"><parm name="version" value="1"/>'
        '<parm name="validity" value="172800"/></characteristic>'
        f'<characteristic type="TOKEN"><parm name="token" value="{token}"/>'
        f'<parm name="validity" value="172800"/></characteristic>{parts}</wap-provisioningdoc>'
    )
    return Response(body, content_type=XML)


def make_app(aaa: Aaa, store: Store, limiter: trio.CapacityLimiter) -> QuartTrio:
    """The web application."""
    app = QuartTrio(__name__)
    numbers = itertools.count(1)

    async def ask(session: Session, packet: bytes) -> Any:  # noqa: ANN401 (untyped)
        work = partial(aaa.exchange, session, packet)
        return await trio.to_thread.run_sync(work, limiter=limiter)

    def challenge(session: Session, dea: Any) -> dict[str, str]:  # noqa: ANN401
        session.state = getattr(dea, "state", None)
        session.aaa_host = dea.origin_host
        return {"eap-relay-packet": base64.b64encode(dea.eap_payload).decode()}

    @app.get("/")
    async def ask_entitlements() -> Response:
        arguments = request.args
        apps = [one for one in arguments.getlist("app") if one in PARTS]
        terminal_id = arguments.get("terminal_id", "")
        if not apps or not terminal_id:
            return Response("app and terminal_id are required", 400)
        token = arguments.get("token")
        if token is not None:
            owner = store.tokens.get(token)
            if owner is None or owner[1] != terminal_id:
                return Response("authenticate again", 511)
            return document(apps, token)
        nai = arguments.get("EAP_ID")
        if nai is None:
            return Response("authenticate", 511)
        session = Session(f"{ORIGIN_HOST};1;{next(numbers)}", nai, terminal_id, apps)
        identity = nai.encode()
        packet = b"\x02\x01" + (len(identity) + 5).to_bytes(2, "big") + b"\x01" + identity
        dea = await ask(session, packet)
        if dea.result_code != constants.E_RESULT_CODE_DIAMETER_MULTI_ROUND_AUTH:
            return Response("refused", 403)
        cookie = secrets.token_urlsafe(24)
        store.sessions[cookie] = session
        body = challenge(session, dea)
        response = Response(app.json.dumps(body), content_type=EAP_RELAY)
        response.set_cookie("SID", cookie, secure=True, httponly=True)
        return response

    @app.post("/")
    async def answer_challenge() -> Response:
        cookie = request.cookies.get("SID", "")
        session = store.sessions.get(cookie)
        if session is None:
            return Response("no such session", 400)
        body = await request.get_json(force=True)
        dea = await ask(session, base64.b64decode(body["eap-relay-packet"]))
        if dea.result_code == constants.E_RESULT_CODE_DIAMETER_MULTI_ROUND_AUTH:
            return Response(app.json.dumps(challenge(session, dea)), content_type=EAP_RELAY)
        del store.sessions[cookie]
        if dea.result_code != constants.E_RESULT_CODE_DIAMETER_SUCCESS:
            return Response("refused", 403)
        token = secrets.token_urlsafe(32)
        store.tokens[token] = (session.nai, session.terminal_id)
        return document(session.apps, token)

    return app


class TlsConfig(Config):
    """Hypercorn's settings with TLS as the node has it: 1.3, no tickets, the client's cipher."""

    def create_ssl_context(self) -> ssl.SSLContext | None:
        """The server's context."""
        context = super().create_ssl_context()
        if context is not None:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.num_tickets = 0
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        return context


def make_config(port: int, tls: Path) -> Config:
    """Hypercorn's settings."""
    config = TlsConfig()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile = str(tls / "device.pem")
    config.keyfile = str(tls / "device.key")
    config.alpn_protocols = ["h2", "http/1.1"]
    config.keep_alive_max_requests = 1_000_000_000  # the default loses the requests in flight
    config.h2_max_concurrent_streams = 1_000
    config.keep_alive_timeout = 60
    config.backlog = 1_024
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    return config


@click.command()
@click.option("--port", default=9443, show_default=True)
@click.option("--aaa", default="127.0.0.1:3868", show_default=True)
@click.option("--tls", type=click.Path(path_type=Path), required=True, help="device.pem and .key")
@click.option("--threads", default=64, show_default=True, help="Most DERs at the same time.")
def main(port: int, aaa: str, tls: Path, threads: int) -> None:
    """Serve until killed."""
    logging.disable(logging.CRITICAL)
    host, _, aaa_port = aaa.rpartition(":")
    diameter = Aaa(host, int(aaa_port))
    diameter.start()
    limiter = trio.CapacityLimiter(threads)
    app = make_app(diameter, Store(), limiter)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            config = make_config(port, tls)
            addresses = await nursery.start(partial(serve, app, config, mode="asgi"))
            print("ready", *addresses, flush=True)

    try:
        trio.run(run)
    finally:
        stopper = threading.Thread(target=diameter.node.stop, daemon=True)
        stopper.start()
        stopper.join(2)


if __name__ == "__main__":
    main()
