"""What a phone of the lab asks of on-device service activation, one operation at a time.

Source: GSMA TS.43 v12 §6.2-6.5, as Android's client sends it: one application, the token as soon as
there is one, and XML. The flows made of these are in `odsa_flows.py`.
"""

import base64
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from protocols.es2plus.identifiers import ActivationCode
from scripts.lab.device_http import DeviceHttpError
from scripts.lab.phone import Outcome, Phone, PhoneResult, Target
from scripts.lab.phone_habits import AOSP, Habits
from scripts.lab.phone_reading import Malformed, read_document

COMPANION: Final = "ap2006"
PRIMARY: Final = "ap2009"
SERVER: Final = "ap2011"
VERSION: Final = ("entitlement_version", "12.0")


class FlowFailed(Exception):
    """A step of a flow did not give what the device needs to go on."""


@dataclass(frozen=True, slots=True)
class EsimDevice:
    """A device with an eUICC: a watch, or the phone that a line moves to.

    Attributes:
        id: IMEI.
    """

    id: str
    eid: str
    vendor: str = "ACME"
    model: str = "Watch 9"
    name: str = "Lab watch"


@dataclass(slots=True)
class Step:
    """One operation and what came of it.

    Attributes:
        application: the parms; characteristics within are lists of such.
        result: of the phone, with its HTTP status.
    """

    name: str
    seconds: float
    application: dict[str, Any]
    result: PhoneResult = field(repr=False)

    def one(self, name: str) -> str:
        """A parm.

        Raises:
            FlowFailed: it is missing.
        """
        value = self.application.get(name)
        if not isinstance(value, str):
            raise FlowFailed(f"{self.name}: there is no {name}; HTTP {self.result.status}")
        return value

    def group(self, *names: str) -> dict[str, Any]:
        """The first characteristic at the end of a path of types; empty when there is none."""
        found = self.application
        for name in names:
            inner = found.get(name)
            if isinstance(inner, list):
                inner = inner[0] if inner else {}
            found = inner if isinstance(inner, dict) else {}
        return found


class OdsaPhone:
    """A phone that asks for operations.

    Attributes:
        phone: with its card and its token.
        steps: what was asked so far, in order.
    """

    def __init__(self, phone: Phone, app: str) -> None:
        self.phone = phone
        self.app = app
        self.steps: list[Step] = []

    async def operate(self, operation: str, **params: str) -> Step:
        """One operation: with the token, or by EAP-AKA when there is none or it is refused."""
        phone = self.phone
        started = trio.current_time()
        phone.more = (("operation", operation), *((n, v) for n, v in params.items() if v))
        try:
            if phone.token:
                result = await phone.with_token((self.app,))
                if result.status == 511:
                    result = await phone.authenticate((self.app,))
            else:
                result = await phone.authenticate((self.app,))
        finally:
            phone.more = ()
        return self._noted(_name(operation, params), started, result)

    def _noted(self, name: str, started: float, result: PhoneResult) -> Step:
        document = result.document
        application = {} if document is None else document.applications.get(self.app, {})
        step = Step(name, trio.current_time() - started, application, result)
        self.steps.append(step)
        return step


class TokenBearer:
    """A device without a card that works that has a temporary token of another one (§8.9).

    Attributes:
        steps: what was asked so far, in order.
    """

    def __init__(
        self, target: Target, device: EsimDevice, token: str, app: str, habits: Habits = AOSP
    ) -> None:
        self._target = target
        self._device = device
        self._token = token
        self._habits = habits
        self.app = app
        self.steps: list[Step] = []

    async def operate(self, operation: str, **params: str) -> Step:
        """One operation with the temporary token."""
        started = trio.current_time()
        result = PhoneResult()
        more = (("operation", operation), *params.items())
        identity = [("temporary_token", self._token)]
        query = self._habits.query(identity, self._device.id, (self.app,), 0, more)
        headers = (*self._habits.fields, (b"accept", self._habits.accept_token))
        try:
            async with await self._target.connect() as connection:
                path = f"{self._target.path}?{query}".encode()
                response = await connection.request(b"GET", path, headers)
            result.status = response.status
            if response.status == 200:
                result.document = read_document(self._habits, response)
                result.outcome = Outcome.DOCUMENT
            else:
                result.outcome = Outcome.REFUSED
        except (DeviceHttpError, Malformed) as error:
            result.detail = str(error)
        document = result.document
        application = {} if document is None else document.applications.get(self.app, {})
        step = Step(_name(operation, params), trio.current_time() - started, application, result)
        self.steps.append(step)
        return step


def activation_code(download: dict[str, Any]) -> ActivationCode:
    """The activation code of a DownloadInfo, as strictly as Android reads it.

    Raises:
        FlowFailed: there is none, or it is not one.
    """
    encoded = download.get("ProfileActivationCode")
    if not isinstance(encoded, str):
        raise FlowFailed("there is no activation code")
    try:
        base64.b64decode(encoded, validate=True)
        return ActivationCode.from_profile_activation_code(encoded)
    except ValueError as error:
        raise FlowFailed(f"the activation code cannot be read: {error}") from None


def _name(operation: str, params: dict[str, str]) -> str:
    kind = params.get("operation_type")
    return operation if kind is None else f"{operation}({kind})"
