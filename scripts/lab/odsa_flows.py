"""The flows of on-device service activation as devices walk them (GSMA TS.43 v12 §7, §8, §10).

Each returns the activation code that the device would fetch its profile with. The downloading is
the eUICC's and the SM-DP+'s affair: the lab's SM-DP+ installs by itself, or a test tells it to.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import trio

from protocols.es2plus.identifiers import ActivationCode
from scripts.lab.odsa_phone import (
    EsimDevice,
    FlowFailed,
    OdsaPhone,
    Step,
    TokenBearer,
    activation_code,
)

DOWNLOAD, DONE, DELAYED = "2", "3", "4"
ACTIVATED, ACTIVATING = "1", "2"
POLL_SECONDS: Final = 0.2  # a real device waits PollingInterval minutes
MAX_POLLS: Final = 100

# What the eUICC does between download and confirmation; a lab SM-DP+ that installs needs none.
Install = Callable[[ActivationCode], Awaitable[None]]


class Operator(Protocol):
    """Whoever can ask for operations: a phone with a card, or the bearer of a temporary token."""

    async def operate(self, operation: str, **params: str) -> Step: ...


def watch_parameters(watch: EsimDevice) -> dict[str, str]:
    """How a companion is named in every operation."""
    return {
        "companion_terminal_id": watch.id,
        "companion_terminal_eid": watch.eid,
        "companion_terminal_vendor": watch.vendor,
        "companion_terminal_model": watch.model,
        "companion_terminal_friendly_name": watch.name,
    }


def target_parameters(target: EsimDevice) -> dict[str, str]:
    """How the eSIM that is managed is named by a primary device."""
    return {"target_terminal_id": target.id, "target_terminal_eid": target.eid}


async def pair_watch(
    phone: OdsaPhone,
    watch: EsimDevice,
    service: str = "SharedNumber",
    *,
    install: Install | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> ActivationCode:
    """§7.4: eligibility, configuration, subscription, download, service, configuration.

    Raises:
        FlowFailed: the watch cannot go on.
    """
    named = watch_parameters(watch)
    checked = await phone.operate("CheckEligibility", **named)
    expect(checked, "CompanionAppEligibility", "1")
    if service not in checked.one("CompanionDeviceServices").split(","):
        raise FlowFailed(f"{service} is not offered")
    await phone.operate("AcquireConfiguration", **named)
    code, iccid = await subscribe(
        phone,
        {**named, "companion_terminal_service": service},
        ("CompanionConfigurations", "CompanionConfiguration"),
        poll_seconds=poll_seconds,
    )
    if install is not None:
        await install(code)
    owned = {**named, "companion_terminal_iccid": iccid, "companion_terminal_service": service}
    await phone.operate("ManageService", operation_type="10", **owned)
    group = ("CompanionConfigurations", "CompanionConfiguration")
    await until_active(phone, owned, group, poll_seconds)
    return code


async def new_line(
    phone: OdsaPhone,
    target: EsimDevice,
    *,
    install: Install | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> ActivationCode:
    """§8.8: another line on the phone's eSIM.

    Raises:
        FlowFailed: the phone cannot go on.
    """
    named = target_parameters(target)
    expect(await phone.operate("CheckEligibility", **named), "PrimaryAppEligibility", "1")
    code, iccid = await subscribe(
        phone, named, ("PrimaryConfiguration",), poll_seconds=poll_seconds
    )
    await _confirm(phone, named, iccid, code, install, poll_seconds)
    return code


async def transfer_by_old_phone(
    phone: OdsaPhone,
    target: EsimDevice,
    *,
    install: Install | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> ActivationCode:
    """§8.7: the old phone orders, and hands the activation code to the new one.

    Raises:
        FlowFailed: the phone cannot go on.
    """
    named = {**target_parameters(target), "old_terminal_id": phone.phone.imei}
    expect(await phone.operate("CheckEligibility", **named), "PrimaryAppEligibility", "1")
    code, _ = await subscribe(
        phone, named, ("PrimaryConfiguration",), kind="3", poll_seconds=poll_seconds
    )
    if install is not None:
        await install(code)
    return code


async def temporary_token(phone: OdsaPhone) -> str:
    """§8.9 steps 4 to 8: the old phone gets what it passes on, by QR code or otherwise.

    Raises:
        FlowFailed: there is none.
    """
    expect(await phone.operate("CheckEligibility"), "PrimaryAppEligibility", "1")
    issued = await phone.operate(
        "AcquireTemporaryToken", operation_targets="ManageSubscription,AcquireConfiguration"
    )
    if not issued.one("TemporaryTokenExpiry"):
        raise FlowFailed("Android crashes without TemporaryTokenExpiry")
    return issued.one("TemporaryToken")


async def transfer_by_token(
    bearer: TokenBearer,
    target: EsimDevice,
    *,
    install: Install | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> ActivationCode:
    """§8.9 steps 10 to 20: the new phone orders with the old one's temporary token.

    Raises:
        FlowFailed: the phone cannot go on.
    """
    named = target_parameters(target)
    code, _ = await subscribe(
        bearer, named, ("PrimaryConfiguration",), kind="3", poll_seconds=poll_seconds
    )
    if install is not None:
        await install(code)
    return code


async def server_initiated(
    server: OdsaPhone,
    device: EsimDevice,
    *,
    install: Install | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> ActivationCode:
    """§10.2: a server orders for a device of its enterprise, with the first plan offered.

    Raises:
        FlowFailed: the server cannot go on.
    """
    checked = await server.operate("CheckEligibility", enterprise_id="acme")
    expect(checked, "EnterpriseAppEligibility", "1")
    offered = await server.operate("AcquirePlan")
    plan = offered.group("PlanOffers", "PlanOffer").get("PlanId", "")
    named = {"enterprise_terminal_id": device.id, "enterprise_terminal_eid": device.eid}
    await server.operate("AcquireConfiguration", **named)
    code, _ = await subscribe(
        server, {**named, "plan_id": plan}, ("EnterpriseConfiguration",), poll_seconds=poll_seconds
    )
    if install is not None:
        await install(code)
    return code


# --- what they are made of ------------------------------------------------------------------------


async def subscribe(
    device: Operator,
    named: dict[str, str],
    group: tuple[str, ...],
    *,
    kind: str = "0",
    poll_seconds: float = POLL_SECONDS,
) -> tuple[ActivationCode, str]:
    """ManageSubscription, and polling when the profile is not there yet: (code, ICCID).

    Args:
        group: the way to the configuration in AcquireConfiguration.

    Raises:
        FlowFailed: no profile comes of it.
    """
    asked = await device.operate("ManageSubscription", operation_type=kind, **named)
    result = asked.one("SubscriptionResult")
    if result == DOWNLOAD:
        download = asked.group("DownloadInfo")
        return activation_code(download), str(download.get("ProfileIccid", ""))
    if result != DELAYED:
        raise FlowFailed(
            f"SubscriptionResult {result}: {asked.application.get('GeneralErrorText')}"
        )
    for _ in range(MAX_POLLS):
        polled = await device.operate("AcquireConfiguration", **named)
        found = polled.group(*group)
        download = _inner(found, "DownloadInfo")
        if download:
            return activation_code(download), str(found.get("ICCID", ""))
        if found.get("ServiceStatus") != ACTIVATING:
            raise FlowFailed(f"ServiceStatus {found.get('ServiceStatus')}")
        if found.get("PollingInterval", "0") == "0":
            raise FlowFailed("the device shall not poll, and nothing else comes in the lab")
        await trio.sleep(poll_seconds)
    raise FlowFailed("no profile comes")


async def until_active(
    device: Operator, named: dict[str, str], group: tuple[str, ...], poll_seconds: float
) -> None:
    """AcquireConfiguration until the line works.

    Raises:
        FlowFailed: it never does.
    """
    for _ in range(MAX_POLLS):
        found = (await device.operate("AcquireConfiguration", **named)).group(*group)
        if found.get("ServiceStatus") == ACTIVATED:
            return
        await trio.sleep(poll_seconds)
    raise FlowFailed("the line does not become active")


async def _confirm(
    device: Operator,
    named: dict[str, str],
    iccid: str,
    code: ActivationCode,
    install: Install | None,
    poll_seconds: float,
) -> None:
    """The profile is on the eUICC: tell so (type 4), and see that the line works."""
    if install is not None:
        await install(code)
    owned = {**named, "target_terminal_iccid": iccid}
    told = await device.operate("ManageSubscription", operation_type="4", **owned)
    expect(told, "SubscriptionResult", DONE)
    await until_active(device, owned, ("PrimaryConfiguration",), poll_seconds)


def expect(step: Step, name: str, value: str) -> None:
    """Go on only with this value.

    Raises:
        FlowFailed: another one came.
    """
    found = step.one(name)
    if found != value:
        raise FlowFailed(f"{step.name}: {name} is {found}")


def _inner(found: dict[str, Any], name: str) -> dict[str, Any]:
    inner = found.get(name)
    if isinstance(inner, list):
        inner = inner[0] if inner else {}
    return inner if isinstance(inner, dict) else {}
