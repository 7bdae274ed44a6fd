"""The APPLICATION of each ODSA operation (GSMA TS.43 v12 §6.5), as a neutral tree.

Q-DOC-10: Android reads the top-level PrimaryConfiguration alone, and the last one wins, so a single
profile stands by itself and never in a list of one.
"""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from protocols.ts43.applications import COMPANION_ODSA, SERVER_ODSA
from protocols.ts43.document import SLOT, Application, Characteristic, Parm, plain_text, plain_url
from protocols.ts43.odsa import (
    ELIGIBILITY_PARMS,
    AppEligibility,
    OperationResult,
    PollingUnit,
    ServiceStatus,
    SubscriptionResult,
)

ENCODED: Final = "encodedValue="
NO_PARMS: Final[tuple[Parm, ...]] = ()
SUCCESS: Final[Parm] = ("OperationResult", str(int(OperationResult.SUCCESS)))


class WebView(Struct, frozen=True):
    """A page of the operator's portal, with a slot for its user data (§6.5.9).

    Attributes:
        contents_type: empty (a query), `json` or `xml`.
    """

    url: str
    contents_type: str = ""

    def parms(self, prefix: str) -> tuple[Parm, ...]:
        """URL, UserData and ContentsType with one of the prefixes of the standard."""
        parms = ((f"{prefix}URL", plain_url(self.url)), (f"{prefix}UserData", SLOT))
        if not self.contents_type:
            return parms
        return (*parms, (f"{prefix}ContentsType", self.contents_type))


class Polling(Struct, frozen=True):
    """How soon the client may ask again; an interval of 0 tells it to wait for a push."""

    interval: int
    unit: PollingUnit = PollingUnit.MINUTES

    def parms(self) -> tuple[Parm, ...]:
        """PollingInterval, and its unit unless that is the default."""
        if self.unit is PollingUnit.MINUTES:
            return (("PollingInterval", str(self.interval)),)
        return (
            ("PollingInterval", str(self.interval)),
            ("PollingIntervalUnit", str(int(self.unit))),
        )


class Download(Struct, frozen=True):
    """DownloadInfo (table 41): an activation code, or the address for a known EID and ICCID.

    Attributes:
        activation_code: in base64, ready; empty when the address is meant.
        smdp_addresses: host names.
    """

    iccid: str = ""
    activation_code: str = ""
    smdp_addresses: tuple[str, ...] = ()

    def characteristic(self) -> Characteristic:
        """The structure. Android prefers the activation code, and needs one of the two forms."""
        parms: list[Parm] = []
        if self.iccid:
            parms.append(("ProfileIccid", self.iccid))
        if self.activation_code:
            parms.append(("ProfileActivationCode", self.activation_code))
        else:
            parms.append(("ProfileSmdpAddress", ",".join(self.smdp_addresses)))
        return Characteristic("DownloadInfo", tuple(parms))


class CompanionInfo(Struct, frozen=True):
    """CompanionDeviceInfo (table 44): for devices that cannot show a web view."""

    friendly_name: str
    vendor: str
    model: str = ""
    eid: str = ""

    def characteristic(self) -> Characteristic:
        """The structure; what is unknown and optional is left out."""
        fields = (
            ("CompanionTerminalFriendlyName", self.friendly_name or self.model or "-"),
            ("CompanionTerminalVendor", self.vendor or "-"),
            ("CompanionTerminalModel", self.model),
            ("CompanionTerminalEid", self.eid),
        )
        parms = tuple((name, plain_text(text)) for name, text in fields if text)
        return Characteristic("CompanionDeviceInfo", parms)


class Configuration(Struct, frozen=True, kw_only=True):
    """One profile of AcquireConfiguration (table 43).

    Attributes:
        iccid: empty while there is none.
        service: CompanionDeviceService; of companions alone.
        secondary: the line's other profile is the primary one.
        polling: only while ACTIVATING.
        message: MSG; of primary devices alone.
    """

    status: ServiceStatus
    iccid: str = ""
    service: str = ""
    secondary: bool = False
    polling: Polling | None = None
    download: Download | None = None
    companion: CompanionInfo | None = None
    message: Characteristic | None = None

    def characteristic(self, kind: str) -> Characteristic:
        """The structure under its name."""
        parms: list[Parm] = [("ICCID", self.iccid)] if self.iccid else []
        if self.service:
            parms.append(("CompanionDeviceService", self.service))
        parms.append(("ServiceStatus", str(int(self.status))))
        if self.secondary:
            parms.append(("SecondaryICCID", "1"))
        if self.polling is not None and self.status is ServiceStatus.ACTIVATING:
            parms += self.polling.parms()
        children = [
            child.characteristic() for child in (self.download, self.companion) if child is not None
        ]
        if self.message is not None:
            children.append(self.message)
        return Characteristic(kind, tuple(parms), tuple(children))


class Offer(Struct, frozen=True):
    """A PlanOffer (table 47)."""

    plan_id: str
    name: str = ""
    description: str = ""


def failure(
    app_id: str,
    result: OperationResult,
    *,
    text: str = "",
    page: WebView | None = None,
    more: tuple[Parm, ...] = NO_PARMS,
) -> Application:
    """An operation that did not succeed (table 38); all of it is HTTP 200.

    Args:
        text: for the user; the client has words of its own.
        page: instead of the text.
        more: parms of the application as a whole.
    """
    parms: list[Parm] = [("OperationResult", str(int(result)))]
    if page is not None:
        parms += WebView(page.url).parms("GeneralError")
    if text:
        parms.append(("GeneralErrorText", plain_text(text)))
    return _application(app_id, (*parms, *more))


def eligibility(
    app_id: str,
    answer: AppEligibility,
    *,
    services: tuple[str, ...] = (),
    not_enabled: WebView | None = None,
    polling: Polling | None = None,
    more: tuple[Parm, ...] = NO_PARMS,
) -> Application:
    """CheckEligibility (table 39).

    Args:
        services: of a companion; left out when empty, because no client likes an empty value.
        not_enabled: explains a no.
        polling: only beside PrimaryAppEligibility 0.
    """
    parms: list[Parm] = [(ELIGIBILITY_PARMS[app_id], str(int(answer)))]
    if app_id == COMPANION_ODSA and services:
        parms.append(("CompanionDeviceServices", ",".join(services)))
    if answer is not AppEligibility.ENABLED:
        if not_enabled is not None:
            parms += not_enabled.parms("NotEnabled")
        primary = ELIGIBILITY_PARMS[app_id] == "PrimaryAppEligibility"
        if polling is not None and primary and answer is AppEligibility.DISABLED:
            parms += polling.parms()
    return _application(app_id, (*parms, SUCCESS, *more))


def subscription(
    app_id: str,
    result: SubscriptionResult,
    *,
    download: Download | None = None,
    web_sheet: WebView | None = None,
    message: Characteristic | None = None,
    text: str = "",
    more: tuple[Parm, ...] = NO_PARMS,
) -> Application:
    """ManageSubscription (table 40): DownloadInfo with 2, the page with 1, MSG with 8."""
    parms: list[Parm] = []
    children: tuple[Characteristic, ...] = ()
    if result is SubscriptionResult.DOWNLOAD_PROFILE and download is not None:
        children = (download.characteristic(),)
    elif result is SubscriptionResult.CONTINUE_TO_WEBSHEET and web_sheet is not None:
        parms += web_sheet.parms("SubscriptionService")
    elif result is SubscriptionResult.REQUIRES_USER_INPUT and message is not None:
        children = (message,)
    parms += (("SubscriptionResult", str(int(result))), SUCCESS)
    if text:
        parms.append(("GeneralErrorText", plain_text(text)))
    return _application(app_id, (*parms, *more), children)


def service(app_id: str, status: ServiceStatus, more: tuple[Parm, ...] = NO_PARMS) -> Application:
    """ManageService (table 42)."""
    return _application(app_id, (("ServiceStatus", str(int(status))), SUCCESS, *more))


def configurations(
    app_id: str, found: Sequence[Configuration], more: tuple[Parm, ...] = NO_PARMS
) -> Application:
    """AcquireConfiguration (tables 43 to 45); nothing found: no element at all."""
    if app_id == COMPANION_ODSA:
        kind = "CompanionConfiguration"
    else:
        kind = "EnterpriseConfiguration" if app_id == SERVER_ODSA else "PrimaryConfiguration"
    items = tuple(one.characteristic(kind) for one in found)
    # Companions always are a list; of an enterprise's device there is one.
    listed = bool(items) if app_id == COMPANION_ODSA else len(items) > 1
    if listed and app_id != SERVER_ODSA:
        children: tuple[Characteristic, ...] = (Characteristic(f"{kind}s", (), items, "list"),)
    else:
        children = items[:1]
    return _application(app_id, (SUCCESS, *more), children)


def plans(app_id: str, offers: Sequence[Offer], more: tuple[Parm, ...] = NO_PARMS) -> Application:
    """AcquirePlan (tables 46, 47); PlanOffers only when there is one."""
    items = tuple(
        Characteristic(
            "PlanOffer",
            tuple(
                (name, plain_text(text))
                for name, text in (
                    ("PlanId", offer.plan_id),
                    ("PlanName", offer.name),
                    ("PlanDescription", offer.description),
                )
                if text
            ),
        )
        for offer in offers
    )
    children = (Characteristic("PlanOffers", (), items, "list"),) if items else ()
    return _application(app_id, (SUCCESS, *more), children)


def temporary_token(
    app_id: str,
    token: str,
    expires_at: int,
    targets: tuple[str, ...],
    more: tuple[Parm, ...] = NO_PARMS,
) -> Application:
    """AcquireTemporaryToken (table 48). Android's client crashes without TemporaryTokenExpiry.

    Args:
        expires_at: Unix time in seconds.
    """
    return _application(
        app_id,
        (
            ("TemporaryToken", token),
            ("TemporaryTokenExpiry", timestamp(expires_at)),
            ("OperationTargets", ",".join(targets)),
            SUCCESS,
            *more,
        ),
    )


def phone_number(
    app_id: str, msisdn: str, *, encoded: bool = False, more: tuple[Parm, ...] = NO_PARMS
) -> Application:
    """GetPhoneNumber (table 49).

    Args:
        msisdn: in E.164 with its plus sign.
        encoded: in base64, where a relay on the way eats plus signs.
    """
    value = ENCODED + base64.b64encode(msisdn.encode()).decode() if encoded else msisdn
    return _application(app_id, (("MSISDN", value), SUCCESS, *more))


def phone_number_verified(
    app_id: str, matches: bool, msisdn: str, more: tuple[Parm, ...] = NO_PARMS
) -> Application:
    """VerifyPhoneNumber (table 51); the number is repeated when it was right."""
    parms: list[Parm] = [SUCCESS, ("PhoneNumberVerification", "1" if matches else "0")]
    if matches:
        parms.append(("msisdn", msisdn))
    return _application(app_id, (*parms, *more))


def subscriber_info(
    app_id: str,
    msisdn: str,
    sim_id_type: int,
    sim_id: str,
    mvno_name: str = "",
    more: tuple[Parm, ...] = NO_PARMS,
) -> Application:
    """GetSubscriberInfo (tables 52, 53).

    Args:
        sim_id_type: 0 IMSI, 1 UUID, 2 IMSI hash.
    """
    parms: list[Parm] = [
        ("MSISDN", msisdn),
        ("SimIdType", str(sim_id_type)),
        ("SimID", sim_id),
    ]
    if mvno_name:
        parms.append(("MvnoName", plain_text(mvno_name)))
    children = (Characteristic("SubscriberInfo", tuple(parms)),)
    return _application(app_id, (SUCCESS, *more), children)


def timestamp(seconds: int) -> str:
    """`YYYY-MM-DDThh:mm:ssZ` (table 48)."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _application(
    app_id: str, parms: tuple[Parm, ...], children: tuple[Characteristic, ...] = ()
) -> Application:
    return Application(app_id, parms, children, shared=False)
