"""The capabilities exchange as the actors need it: what we offer, and why a CEA opens nothing.

Source: RFC 6733 §5.3.
"""

import dataclasses

from protocols.diameter import dictionary as d
from protocols.diameter import numbers
from protocols.diameter.capabilities import Capabilities, common_applications
from protocols.diameter.codec import Message
from protocols.diameter.messages import Offer


def completed(offer: Offer, local_address: str) -> Offer:
    """The offer with the connection's own address, unless it names addresses already."""
    return offer if offer.addresses else dataclasses.replace(offer, addresses=(local_address,))


def refusal_in(cea: Message, capabilities: Capabilities, host: str, offer: Offer) -> str:
    """Why this CEA opens nothing; empty when it is good.

    Args:
        host: the configured identity: somebody else's answer is refused.

    Raises:
        DecodeError: it cannot be read.
    """
    code = cea.u32(d.RESULT_CODE)
    if code != numbers.SUCCESS:
        text = cea.text(d.ERROR_MESSAGE)
        return f"CEA with result {code}" + (f": {text}" if text else "")
    if capabilities.origin_host.lower() != host:
        return f"CEA of {capabilities.origin_host!r}, expected {host!r}"
    if not common_applications(offer.applications, capabilities.applications):
        return "CEA without a common application"
    return ""


def refuses_cer(capabilities: Capabilities, offer: Offer, secure: bool) -> int:
    """The result code that refuses a CER; 0 when it is good.

    Args:
        secure: the connection is TLS already (RFC 6733 §13.1).
    """
    if not capabilities.origin_host:
        return numbers.MISSING_AVP
    if not common_applications(offer.applications, capabilities.applications):
        return numbers.NO_COMMON_APPLICATION
    wanted = capabilities.inband_security
    if wanted and numbers.NO_INBAND_SECURITY not in wanted and not secure:
        # TLS after the CER is RFC 3588's way; we only do TLS before it.
        return numbers.NO_COMMON_SECURITY
    return 0
