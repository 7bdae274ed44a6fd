"""An AAA on python-diameter's threaded Node, in a process of its own: `PORT` in, `ready` out.

The Android vector is all it knows. What it does with a subscriber stands in the last two digits of
the IMSI; 79, the vector's own, is treated well.
"""

import sys

from diameter.message.avp import Avp
from diameter.message.commands import DiameterEapAnswer, DiameterEapRequest
from diameter.message.constants import (
    AVP_EXPERIMENTAL_RESULT,
    AVP_EXPERIMENTAL_RESULT_CODE,
    AVP_VENDOR_ID,
)
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

from tests.interop.aosp_vector import ANSWER, CHALLENGE, MSK, SYNCHRONISATION_FAILURE

REALM = "epc.mnc001.mcc001.3gppnetwork.org"
SWM = 16777264

# Last two digits of the IMSI to the Result-Code of the final answer.
FINAL = {"01": 4001, "02": 5003, "03": 5012, "04": 3004, "05": 5001, "06": 5002}
FIRST = {"11": 4001, "12": 5003, "13": 5012, "14": 3004, "15": 5001, "16": 5004}
UNKNOWN_USER = "20"  # the last thing that one process can do: the library counts it and fails
EAP_SUCCESS, EAP_FAILURE = b"\x03\x02\x00\x04", b"\x04\x02\x00\x04"


def answer(app: SimpleThreadingApplication, request: DiameterEapRequest) -> object:
    """One DER or STR."""
    if not isinstance(request, DiameterEapRequest):
        return app.generate_answer(request, result_code=2001)
    which = request.user_name.partition("@")[0][-2:]
    if which in FIRST:
        return dea(app, request, FIRST[which], EAP_FAILURE)
    if which == UNKNOWN_USER:
        reply = dea(app, request, None, EAP_FAILURE)
        inner = [Avp.new(AVP_VENDOR_ID, value=10415)]
        inner.append(Avp.new(AVP_EXPERIMENTAL_RESULT_CODE, value=5001))
        reply.append_avp(Avp.new(AVP_EXPERIMENTAL_RESULT, value=inner))
        return reply
    if request.state is None or request.eap_payload == SYNCHRONISATION_FAILURE:
        reply = dea(app, request, 1001, CHALLENGE)
        reply.state = b"st01"
        return reply
    if request.eap_payload != ANSWER or request.state != b"st01":
        return dea(app, request, 5004, EAP_FAILURE)
    if which in FINAL:
        return dea(app, request, FINAL[which], EAP_FAILURE)
    reply = dea(app, request, 2001, EAP_SUCCESS)
    reply.eap_master_session_key = MSK
    reply.user_name = request.user_name
    return reply


def dea(
    app: SimpleThreadingApplication, request: DiameterEapRequest, code: int | None, packet: bytes
) -> DiameterEapAnswer:
    """A DEA with that result and EAP packet."""
    reply = app.generate_answer(request, result_code=code)
    reply.auth_request_type = 3
    reply.eap_payload = packet
    return reply


def main() -> None:
    """Serve until killed."""
    node = Node(
        f"aaa1.{REALM}",
        REALM,
        ip_addresses=["127.0.0.1"],
        tcp_port=int(sys.argv[1]),
        vendor_ids=[10415],
    )
    peer = node.add_peer(f"aaa://ecs1.{REALM}", REALM)
    app = SimpleThreadingApplication(SWM, is_auth_application=True, request_handler=answer)
    node.add_application(app, [peer])
    node.start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
