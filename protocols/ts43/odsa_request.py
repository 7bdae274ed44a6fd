"""The parameters of an ODSA operation as values (GSMA TS.43 v12 §6.2 table 27, §6.3).

What nothing is decided on is read leniently: the standard's own samples leave out
`companion_terminal_vendor` and `_friendly_name`, which its table demands, and have ICCIDs of 22
digits where no profile is meant. What decides is checked; a fault is OperationResult 102 at HTTP
200, never an HTTP status (§6.5.1).
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from msgspec import Struct

from protocols.identity import Eid, Iccid
from protocols.ts43 import operations as op
from protocols.ts43.applications import COMPANION_ODSA, SERVER_ODSA
from protocols.ts43.odsa import (
    COMPANION_SERVICES,
    SERVICE_TYPES,
    OperationResult,
    OperationType,
)
from protocols.ts43.odsa_message import NO_LIMITS, DisplayLimits, read_limits
from protocols.ts43.operations import OPERATIONS

MAX_CHARACTERS: Final = 256  # of a name, model or version; longer ones are cut

_Digits = TypeVar("_Digits", Eid, Iccid)
_SERVICE_NAMES: Final = {name.lower(): name for name in COMPANION_SERVICES}
# Operations that act on one profile, so that its ICCID and EID must be right.
_PRECISE: Final = frozenset({op.MANAGE_SUBSCRIPTION, op.MANAGE_SERVICE, op.ACQUIRE_CONFIGURATION})


class OdsaFault(Exception):
    """The operation cannot be done as it was asked for.

    Attributes:
        result: OperationResult.
        reason: for the operator, and in brackets for the user's hotline; no values of the request.
    """

    def __init__(self, result: OperationResult, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


class Terminal(Struct, frozen=True, kw_only=True):
    """A device with an eUICC; what was not sent is empty or None.

    Attributes:
        id: IMEI or UUID.
    """

    id: str = ""
    eid: Eid | None = None
    iccid: Iccid | None = None
    vendor: str = ""
    model: str = ""
    sw_version: str = ""
    friendly_name: str = ""


class OdsaRequest(Struct, frozen=True, kw_only=True):
    """One operation.

    Attributes:
        operation: in the spelling of TS.43.
        kind: operation_type; None where the operation has none.
        terminal_id: of the device that asks.
        managed: whose profile it is about: the companion, the enterprise's device, the target, or
            the device that asks.
        service: companion_terminal_service in the spelling of TS.43; empty when not sent.
        old_id, old_iccid: what a transfer leaves.
        targets: operation_targets in the spelling of TS.43.
        accepted: MSG_btn; None when no message was answered.
        message_response: what the user typed.
        redownloadable: the device can delete its profile and fetch the same again.
        ts43_both: both ends of a cross-platform transfer speak TS.43.
    """

    app: str
    operation: str
    kind: OperationType | None = None
    terminal_id: str = ""
    managed: Terminal = Terminal()
    service: str = ""
    old_id: str = ""
    old_iccid: Iccid | None = None
    old_companion: bool = False
    enterprise_id: str = ""
    plan_id: str = ""
    targets: tuple[str, ...] = ()
    accepted: bool | None = None
    message_response: str = ""
    display_limits: DisplayLimits = NO_LIMITS
    redownloadable: bool = False
    ts43_both: bool = True
    msisdn: str = ""
    terminal_iccid: str = ""


def read_odsa(app: str, operation: str, params: Mapping[str, str]) -> OdsaRequest:
    """Read and check one operation.

    Args:
        app: the application that is meant.
        operation: in the spelling of TS.43 when it is one of its operations.
        params: of the request, by lower-case name.

    Raises:
        OdsaFault: INVALID_OPERATION or INVALID_PARAMETER, or INVALID_MSG_RESPONSE.
    """
    if operation not in _CHECKS:
        raise OdsaFault(OperationResult.INVALID_OPERATION, "unknown operation")
    reading = _Reading(params, precise=operation in _PRECISE)
    request = OdsaRequest(
        app=app,
        operation=operation,
        kind=reading.operation_type(operation),
        terminal_id=reading.text("terminal_id"),
        managed=_managed(app, reading),
        service=reading.service(),
        old_id=reading.first("old_companion_terminal_id", "old_terminal_id"),
        old_iccid=reading.iccid("old_companion_terminal_iccid", "old_terminal_iccid"),
        old_companion=bool(
            reading.first("old_companion_terminal_id", "old_companion_terminal_iccid")
        ),
        enterprise_id=reading.text("enterprise_id"),
        plan_id=reading.text("plan_id"),
        targets=reading.targets(),
        accepted=reading.flag("msg_btn"),
        message_response=reading.text("msg_response"),
        display_limits=read_limits(params.get("msg_character_display_limits", "")),
        redownloadable=bool(reading.flag("redownloadable_profile")),
        ts43_both="1"
        not in (
            params.get("old_terminal_entitlement_protocol"),
            params.get("target_terminal_entitlement_protocol"),
        ),
        msisdn=reading.text("msisdn"),
        terminal_iccid=reading.text("terminal_iccid"),
    )
    _CHECKS[operation](request)
    if request.message_response and not request.accepted:
        raise OdsaFault(OperationResult.INVALID_MSG_RESPONSE, "MSG_response without acceptance")
    return request


class _Reading:
    """Takes values out of the parameters."""

    __slots__ = ("_params", "_precise")

    def __init__(self, params: Mapping[str, str], *, precise: bool) -> None:
        self._params = params
        self._precise = precise

    def text(self, name: str) -> str:
        text = self._params.get(name, "").strip()[:MAX_CHARACTERS]
        return text if text.isprintable() else ""

    def first(self, *names: str) -> str:
        return next((text for text in map(self.text, names) if text), "")

    def eid(self, *names: str) -> Eid | None:
        return self._digits(Eid, names)

    def iccid(self, *names: str) -> Iccid | None:
        return self._digits(Iccid, names)

    def _digits(self, kind: type[_Digits], names: tuple[str, ...]) -> _Digits | None:
        for name in names:
            text = self.text(name)
            if not text:
                continue
            try:
                return kind(text)
            except ValueError:
                if self._precise:
                    raise _invalid(name) from None
        return None

    def flag(self, name: str) -> bool | None:
        text = self.text(name)
        if text not in ("", "0", "1"):
            raise _invalid(name)
        return text == "1" if text else None

    def service(self) -> str:
        text = self.text("companion_terminal_service")
        found = _SERVICE_NAMES.get(text.lower(), "")
        if text and not found:
            raise _invalid("companion_terminal_service")
        return found

    def operation_type(self, operation: str) -> OperationType | None:
        if operation not in (op.MANAGE_SUBSCRIPTION, op.MANAGE_SERVICE):
            return None
        text = self.text("operation_type")
        if not text:
            raise _missing("operation_type")
        try:
            kind = OperationType(int(text))
        except ValueError:
            raise _invalid("operation_type") from None
        if (kind in SERVICE_TYPES) is not (operation == op.MANAGE_SERVICE):
            raise _invalid("operation_type")
        return kind

    def targets(self) -> tuple[str, ...]:
        names = [part.strip() for part in self._params.get("operation_targets", "").split(",")]
        found = tuple(OPERATIONS.get(name.lower(), "") for name in names if name)
        if not all(found):
            raise _invalid("operation_targets")
        return tuple(dict.fromkeys(found))


def _managed(app: str, reading: _Reading) -> Terminal:
    """Table 27 and figures 12 to 17: which parameters name the profile that is meant."""
    if app == COMPANION_ODSA:
        return Terminal(
            id=reading.text("companion_terminal_id"),
            eid=reading.eid("companion_terminal_eid"),
            iccid=reading.iccid("companion_terminal_iccid"),
            vendor=reading.text("companion_terminal_vendor"),
            model=reading.text("companion_terminal_model"),
            sw_version=reading.text("companion_terminal_sw_version"),
            friendly_name=reading.text("companion_terminal_friendly_name"),
        )
    if app == SERVER_ODSA:
        return Terminal(
            id=reading.text("enterprise_terminal_id"),
            eid=reading.eid("enterprise_terminal_eid"),
            iccid=reading.iccid("enterprise_terminal_iccid", "target_terminal_iccid"),
        )
    targeted = bool(reading.first("target_terminal_id", "target_terminal_eid"))
    return Terminal(
        id=reading.first("target_terminal_id", "terminal_id"),
        eid=reading.eid("target_terminal_eid", "terminal_eid"),
        iccid=reading.iccid("target_terminal_iccid", "terminal_iccid"),
        # Some clients describe the target; of another device terminal_vendor says nothing.
        vendor="" if targeted else reading.text("terminal_vendor"),
        model=reading.first("target_terminal_model", *(() if targeted else ("terminal_model",))),
        sw_version="" if targeted else reading.text("terminal_sw_version"),
    )


# --- what each operation must have ----------------------------------------------------------------


def _missing(name: str) -> OdsaFault:
    return OdsaFault(OperationResult.INVALID_PARAMETER, f"{name} is missing")


def _invalid(name: str) -> OdsaFault:
    return OdsaFault(OperationResult.INVALID_PARAMETER, f"{name} is invalid")


def _names(app: str) -> str:
    """The prefix of the parameters that name the managed profile."""
    if app == COMPANION_ODSA:
        return "companion_terminal"
    return "enterprise_terminal" if app == SERVER_ODSA else "target_terminal"


def _check_device(request: OdsaRequest) -> None:
    """`companion_terminal_id` is of all the companion operations."""
    if request.app == COMPANION_ODSA and not request.managed.id:
        raise _missing("companion_terminal_id")


def _check_subscription(request: OdsaRequest) -> None:
    _check_device(request)
    managed, prefix = request.managed, _names(request.app)
    if request.kind in (OperationType.SUBSCRIBE, OperationType.TRANSFER):
        if managed.eid is None:
            raise _missing(f"{prefix}_eid")
    elif request.kind is OperationType.RECOVER:
        if managed.iccid is None:
            raise _missing("terminal_iccid")
    elif request.kind is not OperationType.CHANGE and managed.iccid is None and managed.eid is None:
        raise _missing(f"{prefix}_iccid")
    if request.app == SERVER_ODSA and not managed.id:
        raise _missing("enterprise_terminal_id")


def _check_service(request: OdsaRequest) -> None:
    _check_device(request)
    if request.managed.iccid is None:
        raise _missing(f"{_names(request.app)}_iccid")
    if request.app == COMPANION_ODSA and not request.service:
        raise _missing("companion_terminal_service")


def _check_configuration(request: OdsaRequest) -> None:
    _check_device(request)


def _check_token(request: OdsaRequest) -> None:
    if not request.targets:
        raise _missing("operation_targets")


def _check_number(request: OdsaRequest) -> None:
    if not request.msisdn:
        raise _missing("msisdn")


def _check_nothing(request: OdsaRequest) -> None:
    pass


_CHECKS: Final = {
    op.CHECK_ELIGIBILITY: _check_device,
    op.MANAGE_SUBSCRIPTION: _check_subscription,
    op.MANAGE_SERVICE: _check_service,
    op.ACQUIRE_CONFIGURATION: _check_configuration,
    op.ACQUIRE_PLAN: _check_nothing,
    op.ACQUIRE_TEMPORARY_TOKEN: _check_token,
    op.GET_PHONE_NUMBER: _check_nothing,
    op.VERIFY_PHONE_NUMBER: _check_number,
    op.GET_SUBSCRIBER_INFO: _check_nothing,
}
