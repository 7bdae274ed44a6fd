"""What vendors of SM-DP+ do otherwise than SGP.22, one row each.

The rows are what public documentation and projects show of these vendors; the configuration of one
SM-DP+ overrides its driver.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from actors.backends.smdp_plus import Capabilities, ProfileEvent
from config.model import SmdpPlus

# SGP.22 §5.3.5: 0 to 99 are reserved for GSMA, 100 and above are the vendor's.
STANDARD_POINTS: Final[Mapping[str, ProfileEvent]] = MappingProxyType(
    {
        "1": ProfileEvent.ELIGIBILITY,
        "2": ProfileEvent.CONFIRMATION_FAILURE,
        "3": ProfileEvent.DOWNLOADED,
        "4": ProfileEvent.INSTALLED,
    }
)


@dataclass(frozen=True, slots=True)
class Driver:
    """One vendor.

    Attributes:
        version: in X-Admin-Protocol.
        path_prefix: before the standard's path, at the SM-DP+.
        padded: ICCIDs are sent with F to 20 symbols.
        points: notificationPointId to what it tells.
        notification_prefix: before the standard's path, at our listener.
        answers_with_header: notifications are answered 200 with a header block, not 204.
    """

    name: str
    version: str = "2.2.0"
    path_prefix: str = ""
    padded: bool = False
    points: Mapping[str, ProfileEvent] = field(default_factory=lambda: STANDARD_POINTS)
    notification_prefix: str = ""
    answers_with_header: bool = False
    capabilities: Capabilities = field(default_factory=Capabilities)

    def event(self, point: str) -> ProfileEvent:
        """What a notification point tells; UNKNOWN for one that is not in the map."""
        return self.points.get(point, ProfileEvent.UNKNOWN)


def _points(**others: ProfileEvent) -> Mapping[str, ProfileEvent]:
    return MappingProxyType(
        {**STANDARD_POINTS, **{k.removeprefix("p"): v for k, v in others.items()}}
    )


DRIVERS: Final[Mapping[str, Driver]] = {
    driver.name: driver
    for driver in (
        Driver("standard"),
        # As public projects (Ostelco) drive it: a status query, and 5 means deleted.
        Driver(
            "idemia",
            points=_points(p5=ProfileEvent.DELETED),
            capabilities=Capabilities(status_query=True),
        ),
        Driver(
            "monogoto",
            points=_points(
                p5=ProfileEvent.INSTALLED,  # "installation confirmed"
                p6=ProfileEvent.ENABLED,
                p7=ProfileEvent.DISABLED,
                p8=ProfileEvent.DELETED,
            ),
        ),
        Driver(
            "china-mobile-international",
            points=_points(
                p5=ProfileEvent.DELETED, p101=ProfileEvent.INSTALLED, p102=ProfileEvent.DISABLED
            ),
            notification_prefix="/aep",
            answers_with_header=True,
        ),
    )
}


def driver_of(settings: SmdpPlus) -> Driver:
    """The vendor's driver with what the configuration overrides."""
    driver = DRIVERS[settings.driver]
    own = {point: ProfileEvent(event) for point, event in settings.notification_points.items()}
    return replace(
        driver,
        version=settings.version or driver.version,
        path_prefix=settings.path_prefix or driver.path_prefix,
        padded=driver.padded
        if settings.iccid_form == "driver"
        else settings.iccid_form == "padded",
        points=MappingProxyType({**driver.points, **own}),
        notification_prefix=settings.notification_prefix or driver.notification_prefix,
    )
