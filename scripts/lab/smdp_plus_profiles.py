"""Profiles of the lab's SM-DP+: their states and who ordered them, with nothing of the node's code.

Source: GSMA SGP.22 §3.1.6 (states), §5.3.1 to §5.3.4 (functions and their status codes). Where the
standard leaves the code open the choice is ours and says so.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

AVAILABLE, ALLOCATED, LINKED = "Available", "Allocated", "Linked"
CONFIRMED, RELEASED, DOWNLOADED = "Confirmed", "Released", "Downloaded"
INSTALLED, ERROR, UNAVAILABLE = "Installed", "Error", "Unavailable"

TYPES: Final = ("CONSUMER_5G", "WATCH")  # of the lab's inventory

RESERVED: Final = (ALLOCATED, LINKED, CONFIRMED)  # ordered, and nobody can download it
LIVE: Final = (*RESERVED, RELEASED, DOWNLOADED, INSTALLED)


class Refusal(Exception):
    """The function fails with this subject, reason and message."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


@dataclass(slots=True)
class Profile:
    """One profile.

    Attributes:
        iccid: 18 to 20 digits, without F.
        owner: functionRequesterIdentifier that may order it; empty: anybody.
        history: the states it was in, the present one last.
        orders: how often downloadOrder reserved it.
    """

    iccid: str
    profile_type: str
    owner: str = ""
    state: str = AVAILABLE
    eid: str | None = None
    matching_id: str | None = None
    confirmation_code: str | None = None
    smds_address: str | None = None
    requester: str = ""
    orders: int = 0
    history: list[str] = field(default_factory=lambda: [AVAILABLE])

    def move(self, state: str) -> None:
        """Change the state."""
        self.state = state
        self.history.append(state)

    def forget_order(self) -> None:
        """Nothing of the order stays."""
        self.eid = self.matching_id = self.confirmation_code = self.smds_address = None
        self.requester = ""


def luhn(body: str) -> str:
    """The body with its check digit."""
    digits = [int(one) for one in reversed(body)]
    doubled = [2 * one if one < 5 else 2 * one - 9 for one in digits[::2]]
    return body + str(-(sum(doubled) + sum(digits[1::2])) % 10)


def inventory(
    count: int, profile_type: str = "CONSUMER_5G", *, first: int = 0, owner: str = ""
) -> Iterator[Profile]:
    """Profiles with consecutive, valid ICCIDs of 19 digits: 8949000000 and a number."""
    for number in range(first, first + count):
        yield Profile(luhn(f"8949000000{number:08}"), profile_type, owner)


def stock(count: int, types: tuple[str, ...]) -> list[Profile]:
    """The inventory: so many profiles of each type."""
    return [
        profile
        for at, kind in enumerate(types)
        for profile in inventory(count, kind, first=at * 1_000_000)
    ]


class Inventory:
    """All profiles, and the four functions on them."""

    def __init__(self, profiles: Iterable[Profile]) -> None:
        self.profiles = {profile.iccid: profile for profile in profiles}

    def find(self, iccid: str) -> Profile | None:
        """The profile, with or without F."""
        return self.profiles.get(iccid.upper().rstrip("F"))

    def by_matching_id(self, matching_id: str) -> Profile | None:
        """The profile that the matching id belongs to."""
        found = [one for one in self.profiles.values() if one.matching_id == matching_id]
        return found[0] if found and matching_id else None

    def of_eid(self, eid: str) -> list[Profile]:
        """Live profiles of an eUICC."""
        return [one for one in self.profiles.values() if one.eid == eid and one.state in LIVE]

    def in_state(self, *states: str) -> list[Profile]:
        """Profiles that are in any of the states."""
        return [one for one in self.profiles.values() if one.state in states]

    def ordered_twice(self) -> dict[str, list[str]]:
        """EIDs with more than one live profile: a saga that repeated itself."""
        eids: dict[str, list[str]] = {}
        for one in self.profiles.values():
            if one.eid and one.state in LIVE:
                eids.setdefault(one.eid, []).append(one.iccid)
        return {eid: iccids for eid, iccids in eids.items() if len(iccids) > 1}

    def leaked(self, known: Iterable[str] = ()) -> list[str]:
        """ICCIDs that are ordered and not `known` to whoever asks."""
        names = set(known)
        return [one.iccid for one in self.profiles.values() if one.state in LIVE
                and one.iccid not in names]  # fmt: skip

    def execute(self, function: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Carry out a function.

        Returns:
            Output fields.

        Raises:
            Refusal: with the standard's code.
        """
        requester = fields.get("header", {}).get("functionRequesterIdentifier", "")
        act = {
            "downloadOrder": self._download_order,
            "confirmOrder": self._confirm_order,
            "releaseProfile": self._release_profile,
            "cancelOrder": self._cancel_order,
            "getProfileStatus": self._profile_status,
        }[function]
        return act(fields, requester)

    def _owned(self, fields: dict[str, Any], requester: str) -> Profile:
        profile = self.find(str(fields.get("iccid", "")))
        if profile is None:
            raise Refusal("8.2.1/3.9", f"unknown ICCID {fields.get('iccid')}")
        if profile.owner and profile.owner != requester:
            raise Refusal("8.2.1/1.2", "the profile belongs to another operator")
        return profile

    def _download_order(self, fields: dict[str, Any], requester: str) -> dict[str, Any]:
        kind = fields.get("profileType")
        if "iccid" in fields:
            profile = self._owned(fields, requester)
            if kind and kind != profile.profile_type:
                raise Refusal("8.2.5/3.8", "the profile is of another type")
            if profile.state != AVAILABLE:
                raise Refusal("8.2.1/3.3", "the profile is not available")
        else:
            profile = self._any_of(kind, requester)
        profile.eid = fields.get("eid")
        profile.requester = requester
        profile.orders += 1
        profile.move(LINKED if profile.eid else ALLOCATED)
        return {"iccid": profile.iccid}

    def _any_of(self, kind: str | None, requester: str) -> Profile:
        if not kind:
            raise Refusal("8.2.1/2.2", "neither iccid nor profileType")
        own = [
            one
            for one in self.profiles.values()
            if one.profile_type == kind and one.owner in ("", requester)
        ]
        if not own:
            raise Refusal("8.2.5/3.9", "unknown profile type")
        for one in own:
            if one.state == AVAILABLE:
                return one
        raise Refusal("8.2.5/3.7", "no more profiles of this type")

    def _confirm_order(self, fields: dict[str, Any], requester: str) -> dict[str, Any]:
        profile = self._owned(fields, requester)
        eid, matching_id = fields.get("eid"), fields.get("matchingId")
        if (matching_id == "" or fields.get("smdsAddress")) and not (eid or profile.eid):
            raise Refusal("8.1.1/2.2", "this delivery needs an EID")
        if matching_id and self.by_matching_id(matching_id) is not None:
            raise Refusal("8.2.6/3.3", "the matching id is in use")
        if profile.state not in (ALLOCATED, LINKED):
            raise Refusal("8.2.1/3.5", f"the profile is {profile.state}")
        if eid and profile.eid and eid != profile.eid:
            raise Refusal("8.1.1/3.10", "another EID is bound")
        profile.eid = eid or profile.eid
        if matching_id is None:
            matching_id = "-".join(secrets.token_hex(3).upper() for _ in range(4))
        profile.matching_id = matching_id
        profile.confirmation_code = fields.get("confirmationCode")
        profile.smds_address = fields.get("smdsAddress")
        profile.move(RELEASED if fields["releaseFlag"] else CONFIRMED)
        return {"matchingId": matching_id, **({"eid": profile.eid} if profile.eid else {})}

    def _release_profile(self, fields: dict[str, Any], requester: str) -> dict[str, Any]:
        profile = self._owned(fields, requester)
        if profile.state == CONFIRMED:
            profile.move(RELEASED)
        elif profile.state != RELEASED:  # released already: success, no action
            raise Refusal("8.2.1/3.5", f"the profile is {profile.state}")
        return {}

    def _cancel_order(self, fields: dict[str, Any], requester: str) -> dict[str, Any]:
        profile = self._owned(fields, requester)
        if profile.state in (DOWNLOADED, INSTALLED):
            raise Refusal("8.2.1/3.3", "the profile is downloaded")
        if profile.state in (AVAILABLE, UNAVAILABLE):
            raise Refusal("8.2.1/3.9", "not allocated")  # ours: the standard names no code
        if profile.eid and fields.get("eid") != profile.eid:
            raise Refusal("8.1.1/3.10", "another EID is bound")
        if profile.matching_id and fields.get("matchingId") != profile.matching_id:
            raise Refusal("8.2.6/3.10", "another matching id is bound")
        final = fields["finalProfileStatusIndicator"]
        if final not in (AVAILABLE, UNAVAILABLE):
            raise Refusal("1.3.1/2.1", "finalProfileStatusIndicator")
        profile.forget_order()
        profile.move(final)
        return {}

    def _profile_status(self, fields: dict[str, Any], _requester: str) -> dict[str, Any]:
        rows = []
        for one in fields.get("iccidList", []):
            profile = self.find(str(one.get("iccid", "")))
            if profile is not None:
                row = {"iccid": profile.iccid, "state": profile.state.upper(), "lockFlag": False}
                rows.append(row | ({"eid": profile.eid} if profile.eid else {}))
        return {"profileStatusList": rows}
