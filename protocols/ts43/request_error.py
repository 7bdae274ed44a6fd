"""What is wrong with a request, as one table of status and text (GSMA TS.43 v12 §2.5, §2.10).

Clients remember 400 and 403 until reboot: only a request that can never succeed gets them.
"""

from enum import Enum

from protocols.http.message import HttpResponse, text_response


class Fault(Enum):
    """Why a request is refused before anybody looks at the subscriber: (status, text)."""

    METHOD = (405, "only GET and POST are served")
    OPERATION = (405, "this operation is not supported")  # §2.10: known, and not supported
    TOO_LARGE = (413, "the request is too large")
    NOT_JSON = (400, "the body is not a JSON object")
    NO_PACKET = (400, "eap-relay-packet is missing")
    BAD_PACKET = (400, "eap-relay-packet is not an EAP packet in base64")
    TOO_MANY_PARAMETERS = (400, "there are too many parameters")
    REPEATED = (400, "a parameter has two different values")
    NO_APP = (400, "app is missing")
    UNKNOWN_APP = (400, "app names no known application")
    NO_TERMINAL_ID = (400, "terminal_id is missing")
    BAD_TERMINAL_ID = (400, "terminal_id is not a device identifier")
    BAD_APP_NAME = (400, "app_name is not a name")
    NO_VERSION = (400, "entitlement_version is missing")
    BAD_VERSION = (400, "entitlement_version is not digits.digits")
    # §2.5 fixes the words; HTTP/2 has no reason phrase, so they are the body.
    VERSION = (406, "protocol not supported")
    OLD_COMPANION = (406, "old_companion_terminal is not supported")  # table 27: not offered
    BAD_EAP_ID = (400, "EAP_ID is not a network access identifier")
    BAD_IMSI = (400, "IMSI is not an IMSI")
    BAD_BOOST_TYPE = (400, "boost_type is not a number from 0 to 255")


class RequestError(Exception):
    """The request cannot be served.

    Attributes:
        fault: the row of the table.
        status: HTTP status.
        text: for the body; it never quotes the request.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value[1])
        self.fault = fault
        self.status, self.text = fault.value

    def response(self) -> HttpResponse:
        """What the device gets."""
        if self.status == 405:
            # RFC 9110 §15.5.6: a 405 names the methods that are allowed.
            return text_response(self.status, self.text, ((b"allow", b"GET, POST"),))
        return text_response(self.status, self.text)
