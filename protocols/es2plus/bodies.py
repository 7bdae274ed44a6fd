"""The JSON of requests to the SM-DP+ and of its answers.

Source: GSMA SGP.22 §6.5.1 (envelope) and §6.5.2 (functions). What we write is strict: optional
fields are absent, never null, and only quotation mark, backslash and control characters are
escaped. What we read is lenient: unknown fields, null for absent, numbers for texts, an `F` behind
an ICCID. On `Failed` the output fields are missing although the schema requires them.
"""

from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from protocols.es2plus.failures import Es2PlusError
from protocols.es2plus.identifiers import ConfirmationCode, MatchingId
from protocols.es2plus.requests import (
    CancelOrder,
    ConfirmOrder,
    DownloadOrder,
    FinalProfileStatus,
    ReleaseProfile,
    Request,
)
from protocols.es2plus.status_codes import Function, StatusCode
from protocols.identity import Eid, Iccid

MAX_BODY_OCTETS: Final = (
    65_536  # a well-formed message has a few hundred; resultData a few thousand
)

Text = str | int  # a vendor's number is read as its digits


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A JSON object of the standard: camelCase names, absent when None."""


class RequestHeader(Wire, frozen=True, kw_only=True):
    """`header` of a request; both fields are mandatory."""

    function_requester_identifier: str
    function_call_identifier: str


class DownloadOrderBody(Wire, frozen=True, kw_only=True):
    """§6.5.2.1"""

    header: RequestHeader
    eid: str | None = None
    iccid: str | None = None
    profile_type: str | None = None


class ConfirmOrderBody(Wire, frozen=True, kw_only=True):
    """§6.5.2.2"""

    header: RequestHeader
    iccid: str
    eid: str | None = None
    matching_id: str | None = None
    confirmation_code: str | None = None
    smds_address: str | None = None
    release_flag: bool


class CancelOrderBody(Wire, frozen=True, kw_only=True):
    """§6.5.2.3"""

    header: RequestHeader
    iccid: str
    eid: str | None = None
    matching_id: str | None = None
    final_profile_status_indicator: str


class ReleaseProfileBody(Wire, frozen=True, kw_only=True):
    """§6.5.2.4"""

    header: RequestHeader
    iccid: str


Body = DownloadOrderBody | ConfirmOrderBody | CancelOrderBody | ReleaseProfileBody

_BODIES: Final[dict[Function, type[Body]]] = {
    Function.DOWNLOAD_ORDER: DownloadOrderBody,
    Function.CONFIRM_ORDER: ConfirmOrderBody,
    Function.CANCEL_ORDER: CancelOrderBody,
    Function.RELEASE_PROFILE: ReleaseProfileBody,
}

_encode: Final = msgspec.json.Encoder(enc_hook=str).encode  # the value types are texts


def encode_request(
    request: Request, requester: str, function_call_identifier: str, *, padded: bool = False
) -> bytes:
    """Write a request.

    Args:
        request: what is asked for.
        requester: our `functionRequesterIdentifier`, as agreed with the SM-DP+.
        function_call_identifier: unique per call.
        padded: write an ICCID of 19 digits with a trailing F; a vendor option.
    """
    header = RequestHeader(
        function_requester_identifier=requester, function_call_identifier=function_call_identifier
    )

    def written(iccid: Iccid) -> str:
        return iccid.padded if padded else str(iccid)

    body: Body
    match request:
        case DownloadOrder(iccid, profile_type, eid):
            body = DownloadOrderBody(
                header=header,
                eid=eid,
                iccid=written(iccid) if iccid is not None else None,
                profile_type=profile_type or None,
            )
        case ConfirmOrder():
            body = ConfirmOrderBody(
                header=header,
                iccid=written(request.iccid),
                eid=request.eid,
                matching_id=request.matching_id,
                confirmation_code=request.confirmation_code,
                smds_address=request.smds_address or None,
                release_flag=request.release,
            )
        case CancelOrder(iccid, status, eid, matching_id):
            body = CancelOrderBody(
                header=header,
                iccid=written(iccid),
                eid=eid,
                matching_id=matching_id,
                final_profile_status_indicator=status.value,
            )
        case ReleaseProfile(iccid):
            body = ReleaseProfileBody(header=header, iccid=written(iccid))
    return _encode(body)


def decode_request(function: Function, body: bytes) -> tuple[Request, RequestHeader]:
    """Read a request that `encode_request` wrote.

    Raises:
        Es2PlusError: it did not.
    """
    kind = _BODIES.get(function)
    if kind is None:
        raise Es2PlusError(f"{function.value} is not sent to an SM-DP+")
    read = decoded(body, kind)
    try:
        return _request(read), read.header
    except ValueError as error:
        raise Es2PlusError(f"{function.value}: {error}") from None


def _request(body: Body) -> Request:
    match body:
        case DownloadOrderBody():
            return DownloadOrder(
                Iccid(body.iccid) if body.iccid is not None else None,
                body.profile_type or "",
                _eid(body.eid),
            )
        case ConfirmOrderBody():
            code = body.confirmation_code
            return ConfirmOrder(
                Iccid(body.iccid),
                body.release_flag,
                _eid(body.eid),
                _matching_id(body.matching_id),
                ConfirmationCode(code) if code is not None else None,
                body.smds_address or "",
            )
        case CancelOrderBody():
            return CancelOrder(
                Iccid(body.iccid),
                FinalProfileStatus(body.final_profile_status_indicator),
                _eid(body.eid),
                _matching_id(body.matching_id),
            )
        case ReleaseProfileBody():
            return ReleaseProfile(Iccid(body.iccid))


def _eid(text: str | None) -> Eid | None:
    return Eid(text) if text is not None else None


def _matching_id(text: str | None) -> MatchingId | None:
    return MatchingId(text) if text is not None else None


class StatusCodeData(Wire, frozen=True, kw_only=True):
    """`statusCodeData`"""

    subject_code: str = ""
    reason_code: str = ""
    subject_identifier: Text | None = None
    message: str | None = None


class ExecutionStatus(Wire, frozen=True, kw_only=True):
    """`functionExecutionStatus`, and `notificationPointStatus` of a notification."""

    status: str
    status_code_data: StatusCodeData | None = None

    @property
    def succeeded(self) -> bool:
        """Executed-Success or Executed-WithWarning; Failed, Expired and anything else is not."""
        return self.status in ("Executed-Success", "Executed-WithWarning")

    @property
    def code(self) -> StatusCode | None:
        """Subject and reason, when both are there."""
        data = self.status_code_data
        if data is None or not (data.subject_code and data.reason_code):
            return None
        return StatusCode(data.subject_code, data.reason_code)

    @property
    def message(self) -> str:
        """For people; may hold identities."""
        return (self.status_code_data and self.status_code_data.message) or ""


class _ResponseHeader(Wire, frozen=True, kw_only=True):
    function_execution_status: ExecutionStatus


class _ResponseBody(Wire, frozen=True, kw_only=True):
    header: _ResponseHeader
    iccid: Text | None = None
    eid: Text | None = None
    matching_id: Text | None = None
    smdp_address: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to any of the four functions; what it lacks is None."""

    status: ExecutionStatus
    iccid: Iccid | None = field(default=None, repr=False)
    eid: Eid | None = None
    matching_id: MatchingId | None = None
    smdp_address: str = ""


def decode_response(body: bytes) -> Response:
    """Read an answer.

    Raises:
        Es2PlusError: it is no JSON, has no status, or an identifier in it is none.
    """
    read = decoded(body, _ResponseBody)
    try:
        return Response(
            read.header.function_execution_status,
            Iccid(str(read.iccid)) if read.iccid else None,
            Eid(str(read.eid)) if read.eid else None,
            MatchingId(str(read.matching_id)) if read.matching_id is not None else None,
            read.smdp_address or "",
        )
    except ValueError as error:
        raise Es2PlusError(str(error)) from None


T = TypeVar("T")


def decoded(body: bytes, kind: type[T]) -> T:
    """The body as a structure.

    Raises:
        Es2PlusError: it is not JSON in UTF-8, or not of this structure.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        # msgspec names the type and the place, never the value.
        raise Es2PlusError(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Es2PlusError("the body is not JSON") from None
