"""What carries calls: HTTPS to the node, or Diameter straight to the AAA."""

from scripts.traffic.call import Call
from scripts.traffic.device import HttpsDevices, Target
from scripts.traffic.scenario import Scenario
from scripts.traffic.statistics import CallRecord
from scripts.traffic.steps import Step
from scripts.traffic.subscribers import Caller


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
