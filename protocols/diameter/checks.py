"""Whether a message may be served: AVPs that have to be understood, AVPs that have to be there.

Source: RFC 6733 §4.1 (the M bit), §4.4 (groups), §7.1.5 (5001, 5005), §7.5 (Failed-AVP). Requests
are refused. An answer cannot be refused (§7.2: no error "as a response to an answer message"), so
what to do with one that holds an unknown AVP with the M bit is the caller's choice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.codec import Avps, Message, RawAvp
from protocols.diameter.dictionary import BY_KEY, AvpType
from protocols.diameter.encoding import encode_octets
from protocols.diameter.values import SIZES

REQUIRED: Final[dict[int, tuple[d.Avp, ...]]] = {
    numbers.CAPABILITIES_EXCHANGE: (d.ORIGIN_HOST, d.ORIGIN_REALM),
    numbers.DEVICE_WATCHDOG: (d.ORIGIN_HOST, d.ORIGIN_REALM),
    numbers.DISCONNECT_PEER: (d.ORIGIN_HOST, d.ORIGIN_REALM, d.DISCONNECT_CAUSE),
    numbers.RE_AUTH: (d.SESSION_ID, d.ORIGIN_HOST, d.ORIGIN_REALM),
    numbers.ABORT_SESSION: (d.SESSION_ID, d.ORIGIN_HOST, d.ORIGIN_REALM),
    numbers.SESSION_TERMINATION: (d.SESSION_ID, d.ORIGIN_HOST, d.ORIGIN_REALM),
    numbers.DIAMETER_EAP: (d.SESSION_ID, d.ORIGIN_HOST, d.ORIGIN_REALM, d.EAP_PAYLOAD),
}

# Groups whose members are not for us to understand: an agent's own, returned as they came (§6.2).
_OPAQUE: Final = frozenset((d.PROXY_INFO.key, d.FAILED_AVP.key))


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request cannot be served."""

    result_code: int
    text: str
    failed_avp: bytes


def find_fault(request: Message) -> Fault | None:
    """Check a request against its grammar: unknown AVPs with M (5001), missing ones (5005).

    Raises:
        DecodeError: a group in it is not sound.
    """
    request.check_groups()
    for path in unrecognised(request):
        avp = path[-1]
        text = f"AVP {avp.code} of vendor {avp.vendor}"
        return Fault(numbers.AVP_UNSUPPORTED, text, _nested(path))
    for row in REQUIRED.get(request.command, ()):
        if row not in request:
            # RFC 6733 §7.5: the missing AVP, its data zeroes of the smallest size.
            example = encode_octets(row, bytes(SIZES.get(row.type, 0)))
            return Fault(numbers.MISSING_AVP, row.name, example)
    return None


def unrecognised(avps: Avps) -> Iterator[tuple[RawAvp, ...]]:
    """AVPs with the M bit that our table does not have, each after the groups it is in.

    A group without the M bit is "informational only" (§4.1) with all that is in it.

    Raises:
        DecodeError: a group is not sound.
    """
    for avp in avps:
        if not avp.mandatory:
            continue
        row = BY_KEY.get(avp.key)
        if row is None:
            yield (avp,)
        elif row.type is AvpType.GROUPED and avp.key not in _OPAQUE:
            members = Avps(avp.data, 0, len(avp.data), avps.depth + 1)
            for path in unrecognised(members):
                yield (avp, *path)


def _nested(path: tuple[RawAvp, ...]) -> bytes:
    """§7.5: the AVP, in the groups it was in, and nothing else of them."""
    encoded = path[-1].encode()
    for group in reversed(path[:-1]):
        encoded = RawAvp(group.code, group.vendor, group.flags, encoded).encode()
    return encoded
