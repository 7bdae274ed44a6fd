"""An AAA server whose Diameter is not ours: python-diameter's Node, with our EAP-AKA server behind.

Good for one thing: to see that the node, or the ordinary stack, works against foreign Diameter. It
needs a millisecond for each DER and a thread for each request; for load take `scripts.lab.aaa`.

    python -m scripts.bench.independent_aaa --port 3868
"""

import logging
import secrets
import threading
from collections.abc import Sequence
from typing import Any, Final

import click
from diameter.message import Message, constants
from diameter.node import Node
from diameter.node.application import Application, SimpleThreadingApplication

from protocols.eap.aka_server import AkaServer, FetchVector, SendRequest, ServerOptions, Succeeded
from scripts.lab.home_network import HomeNetwork

REALM: Final = "epc.mnc001.mcc001.3gppnetwork.org"
HOST: Final = f"aaa1.{REALM}"
# python-diameter refuses peers that it was not told of: the node, the ordinary stack.
CLIENTS: Final = (f"ecs1.{REALM}", f"ecs9.{REALM}")


class IndependentAaa:
    """One AAA.

    Attributes:
        served: DERs answered.
    """

    def __init__(self, port: int, clients: Sequence[str] = CLIENTS) -> None:
        self.served = 0
        self._home = HomeNetwork()
        self._open: dict[str, AkaServer] = {}
        self._lock = threading.Lock()
        self._node = Node(
            HOST,
            REALM,
            ip_addresses=["127.0.0.1"],
            tcp_port=port,
            vendor_ids=[constants.VENDOR_TGPP],
        )
        peers = [self._node.add_peer(f"aaa://{client}", REALM) for client in clients]
        app = SimpleThreadingApplication(
            constants.APP_3GPP_SWM, is_auth_application=True, request_handler=self._answer
        )
        self._node.add_application(app, peers)

    def start(self) -> None:
        """Listen."""
        self._node.start()

    def stop(self) -> None:
        """Leave at once, without DPR."""
        self._node.stop(wait_timeout=0, force=True)

    def _answer(self, app: Application, request: Message) -> Message:
        with self._lock:  # the threads of python-diameter share the conversations
            return self._reply(app, request)

    def _reply(self, app: Application, request: Any) -> Message:  # noqa: ANN401 (untyped)
        self.served += 1
        if not hasattr(request, "eap_payload"):  # STR: the session is over anyway
            return app.generate_answer(request, constants.E_RESULT_CODE_DIAMETER_SUCCESS)
        server = self._open.get(request.session_id)
        if server is None:
            server = self._open[request.session_id] = AkaServer(ServerOptions())
        found = server.receive(request.eap_payload)
        if isinstance(found, FetchVector):
            imsi = found.identity.partition("@")[0][1:]
            if found.auts:
                self._home.resynchronise(imsi, found.rand, found.auts)
            vector = self._home.vector(imsi, secrets.token_bytes(16))
            found = server.vector_found(vector) if vector else server.vector_missing()
            assert not isinstance(found, FetchVector)  # noqa: S101 (never twice in a row)
        reply: Any = app.generate_answer(request, _result(found))
        reply.auth_request_type = request.auth_request_type
        reply.eap_payload = found.packet
        if isinstance(found, SendRequest):
            reply.state = b"independent"
        else:
            del self._open[request.session_id]
        if isinstance(found, Succeeded):
            reply.user_name = found.identity
        message: Message = reply
        return message


def _result(found: object) -> int:
    if isinstance(found, SendRequest):
        return int(constants.E_RESULT_CODE_DIAMETER_MULTI_ROUND_AUTH)
    if isinstance(found, Succeeded):
        return int(constants.E_RESULT_CODE_DIAMETER_SUCCESS)
    return int(constants.E_RESULT_CODE_DIAMETER_AUTHENTICATION_REJECTED)


@click.command()
@click.option("--port", default=3868, show_default=True)
@click.option("--client", "clients", multiple=True, default=CLIENTS, help="Their Origin-Hosts.")
def main(port: int, clients: tuple[str, ...]) -> None:
    """Serve until killed."""
    logging.disable(logging.CRITICAL)
    aaa = IndependentAaa(port, clients)
    aaa.start()
    print("ready", port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
