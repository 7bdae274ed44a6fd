"""getProfileStatus: a vendor's extension of ES2+, the only way to ask where a profile stands.

Source: not in SGP.22; the shape is that of public projects that talk to such an SM-DP+:
`{header, iccidList: [{iccid}]}` to `{header, profileStatusList: [{iccid, eid, state, ...}]}`.
"""

from dataclasses import dataclass, field

import msgspec

from protocols.es2plus.bodies import ExecutionStatus, RequestHeader, Text, Wire, decoded
from protocols.es2plus.failures import Es2PlusError
from protocols.identity import Eid, Iccid


class _Named(Wire, frozen=True, kw_only=True):
    iccid: str


class _Query(Wire, frozen=True, kw_only=True):
    header: RequestHeader
    iccid_list: list[_Named]


class _Row(Wire, frozen=True, kw_only=True):
    iccid: Text
    eid: Text | None = None
    state: str = ""


class _AnswerHeader(Wire, frozen=True, kw_only=True):
    function_execution_status: ExecutionStatus


class _Answer(Wire, frozen=True, kw_only=True):
    header: _AnswerHeader
    profile_status_list: list[_Row] | None = None


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One profile; `state` as the vendor wrote it."""

    iccid: Iccid = field(repr=False)
    state: str
    eid: Eid | None = None


def encode_status_query(
    iccids: tuple[Iccid, ...], requester: str, function_call_identifier: str, *, padded: bool
) -> bytes:
    """Write the query; `padded` as in `encode_request`."""
    header = RequestHeader(
        function_requester_identifier=requester, function_call_identifier=function_call_identifier
    )
    named = [_Named(iccid=iccid.padded if padded else str(iccid)) for iccid in iccids]
    return msgspec.json.encode(_Query(header=header, iccid_list=named))


def decode_status_answer(body: bytes) -> tuple[ExecutionStatus, tuple[StatusRow, ...]]:
    """Read the answer.

    Raises:
        Es2PlusError: it is none.
    """
    read = decoded(body, _Answer)
    try:
        rows = tuple(
            StatusRow(Iccid(str(row.iccid)), row.state, Eid(str(row.eid)) if row.eid else None)
            for row in read.profile_status_list or ()
        )
    except ValueError as error:
        raise Es2PlusError(str(error)) from None
    return read.header.function_execution_status, rows
