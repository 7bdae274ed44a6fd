"""The legs of an exchange one by one, for what no phone of the lab does."""

import base64
import json
from dataclasses import dataclass

from protocols.eap.aka import challenge_response, synchronization_failure
from protocols.eap.keys import aka_authentication_key
from protocols.eap.numbers import EAP_AKA
from protocols.eap.vector import CardSuccess, SynchronisationFailure
from scripts.lab.device_http import DeviceConnection, Field, Response
from scripts.lab.phone import Phone
from scripts.lab.phone_habits import AOSP, EAP_RELAY, XML
from scripts.lab.phone_reading import read_challenge

ACCEPT_BOTH: Field = (b"accept", EAP_RELAY + b", " + XML)
RELAY_TYPE: Field = (b"content-type", EAP_RELAY)


@dataclass
class FirstLeg:
    """A challenge as it came, and its cookie as it has to go back."""

    response: Response
    cookie: bytes
    packet: bytes

    @property
    def cookie_field(self) -> Field:
        """The Cookie field of a plain client."""
        return (b"cookie", self.cookie)


async def first_leg(
    phone: Phone, connection: DeviceConnection, app: str = "ap2004", **more: str
) -> FirstLeg:
    """Ask with EAP_ID; the answer must be a challenge."""
    response = await ask_for_challenge(phone, connection, app, **more)
    assert response.status == 200, response
    packet = base64.b64decode(json.loads(response.body)["eap-relay-packet"], validate=True)
    cookie = response.all(b"set-cookie")[0].partition(b";")[0]
    return FirstLeg(response, cookie, packet)


async def ask_for_challenge(
    phone: Phone, connection: DeviceConnection, app: str = "ap2004", **more: str
) -> Response:
    """Ask with EAP_ID."""
    query = AOSP.query([("EAP_ID", phone.nai), *more.items()], phone.imei, app.split(","), 0)
    return await connection.request(b"GET", f"/?{query}".encode(), (ACCEPT_BOTH,))


def answer_of(phone: Phone, challenge: Response) -> bytes:
    """The EAP packet with which the phone's card answers."""
    found = read_challenge(AOSP, challenge, first=False)
    match phone.usim.authenticate(found.rand, found.autn):
        case CardSuccess(res, ck, ik):
            k_aut = aka_authentication_key(phone.nai.encode(), ik, ck)
            return challenge_response(found.identifier, EAP_AKA, res, k_aut)
        case SynchronisationFailure(auts):
            return synchronization_failure(found.identifier, EAP_AKA, auts)
    raise AssertionError("the card does not trust this network")


def relay_body(packet: bytes) -> bytes:
    """The JSON around an EAP packet."""
    return json.dumps({"eap-relay-packet": base64.b64encode(packet).decode()}).encode()


async def relay(packet: bytes, connection: DeviceConnection, *fields: Field) -> Response:
    """POST an EAP packet to the bare URL."""
    headers = (ACCEPT_BOTH, RELAY_TYPE, *fields)
    return await connection.request(b"POST", b"/", headers, relay_body(packet))
