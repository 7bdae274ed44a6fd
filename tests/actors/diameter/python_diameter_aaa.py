"""python-diameter's threaded Node as an AAA server, in a process of its own: `PORT` is printed."""

import socket
import sys
import time

from diameter.message.commands import DiameterEapRequest
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

REALM = "epc.mnc001.mcc001.3gppnetwork.org"


def answer(app: SimpleThreadingApplication, request: DiameterEapRequest) -> object:
    """Challenge the first round, accept the second, refuse the rest by user name."""
    name = request.user_name or ""
    code = 4001 if name.startswith("rejected") else 2001 if request.state else 1001
    reply = app.generate_answer(request, result_code=code)
    if hasattr(reply, "eap_payload"):
        reply.auth_request_type = 3
        reply.eap_payload = bytes.fromhex("0117000801000000" if code == 1001 else "03010004")
        reply.state = b"st01"
    return reply


def main() -> None:
    """Serve until killed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    node = Node(
        f"aaa1.{REALM}", REALM, ip_addresses=["127.0.0.1"], tcp_port=port, vendor_ids=[10415]
    )
    peer = node.add_peer(f"aaa://ecs1.{REALM}", REALM)
    app = SimpleThreadingApplication(16777264, is_auth_application=True, request_handler=answer)
    node.add_application(app, [peer])
    node.start()
    print(port, flush=True)
    sys.stdin.read()  # until the test closes our end
    node.stop(wait_timeout=2)
    time.sleep(0)


if __name__ == "__main__":
    main()
