"""What carries calls: HTTPS to the node, or Diameter straight to the AAA."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from scripts.traffic.call import Call
from scripts.traffic.device import HttpsDevices, Target
from scripts.traffic.diameter_call import DiameterDriver, DiameterTarget
from scripts.traffic.run import Driver
from scripts.traffic.scenario import Scenario
from scripts.traffic.statistics import CallRecord
from scripts.traffic.steps import Step
from scripts.traffic.subscribers import Caller

DEFAULT_TARGET: Final = "https://localhost:8443"
DEFAULT_DIAMETER_TARGET: Final = "diameter://127.0.0.1:3868"


def default_target(scenario: Scenario) -> str:
    """Where the lab is."""
    return DEFAULT_DIAMETER_TARGET if scenario.uses_diameter else DEFAULT_TARGET


@contextlib.asynccontextmanager
async def open_driver(
    scenario: Scenario, target: str, ca_file: str | None
) -> AsyncIterator[Driver]:
    """What makes the calls of a scenario.

    Raises:
        ValueError: the target is no URL that the scenario can use.
        OSError: it cannot be found or reached.
    """
    if scenario.uses_diameter:
        async with DiameterDriver.to(DiameterTarget.parse(target)) as diameter:
            yield diameter.call
    else:
        yield (await HttpsDriver.to(Target.parse(target), ca_file, scenario)).call


class HttpsDriver:
    """Calls over HTTPS; scenarios of a mix may differ in the version of HTTP."""

    def __init__(self, target: Target, devices: dict[str, HttpsDevices]) -> None:
        self._target = target
        self._devices = devices

    @classmethod
    async def to(cls, target: Target, ca_file: str | None, scenario: Scenario) -> "HttpsDriver":
        """Prepare for all parts of a scenario.

        Raises:
            OSError: the host, or the CA's file, cannot be found.
        """
        versions = {part.head.http for part, _ in scenario.parts}
        return cls(
            target,
            {
                version: await HttpsDevices.to(target, ca_file, http2=version == "2")
                for version in versions
            },
        )

    async def call(
        self,
        scenario: Scenario,
        steps: tuple[Step, ...],
        caller: Caller,
        record: CallRecord,
        began: float,
    ) -> None:
        """Make one call.

        Raises:
            CallFailed: see `Call.run`.
        """
        open_device = self._devices[scenario.head.http].open
        await Call(caller, record, open_device, self._target.path, began).run(steps)
