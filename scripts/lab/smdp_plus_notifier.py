"""What the lab's SM-DP+ reports to the operator, in the dialects that vendors have."""

import base64
import datetime
import json
import ssl
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from scripts.lab.smdp_plus_certificates import Credential
from scripts.lab.smdp_plus_profiles import Profile

PATH: Final = "/gsma/rsp2/es2plus/handleDownloadProgressInfo"
PATH_3: Final = "/gsma/rsp2/es2plus/handleNotification"
SECONDS: Final = 10.0

# The success of an installation as FinalResult (tag A2), written by hand from SGP.22.
_SUCCESS: Final = bytes.fromhex("A217A0154F10A0000005591010FFFFFFFF8900001100040130")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one vendor writes the notification.

    Attributes:
        time_name: `timestamp` (schema) or `timeStamp` (example).
        epoch: seconds since 1970 as text instead of ISO 8601.
        text_point: notificationPointId as a text.
        padded: ICCID with F.
        device: also imei and tac.
        prefix: before the path.
        version_3: HandleNotification instead.
    """

    time_name: str = "timestamp"
    epoch: bool = False
    text_point: bool = False
    padded: bool = False
    device: bool = False
    prefix: str = ""
    version_3: bool = False


DIALECTS: Final = {
    "standard": Dialect(),
    "example": Dialect(time_name="timeStamp", text_point=True),
    "idemia": Dialect(device=True),
    "pysim": Dialect(padded=True),
    "china-mobile-international": Dialect(
        time_name="timeStamp", epoch=True, text_point=True, prefix="/aep"
    ),
    "version-3": Dialect(version_3=True),
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One notification and its answer."""

    iccid: str
    point: str
    http_status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Notifier:
    """Sends notifications to one operator.

    Attributes:
        url: of the operator's listener.
        sent: all that was sent, with the answers.
    """

    url: str
    ca: str
    credential: Credential | None
    dialect: Dialect = field(default_factory=Dialect)
    sent: list[Sent] = field(default_factory=list)

    def body(
        self, profile: Profile, point: int | str, code: str = "", *, result: bytes | None = None
    ) -> dict[str, Any]:
        """The JSON of a notification.

        Args:
            profile: whose.
            point: notificationPointId.
            code: SUBJECT/REASON of a failure; empty: success.
            result: resultData; None: a success has one at point 4.
        """
        how = self.dialect
        status: dict[str, Any] = {"status": "Failed" if code else "Executed-Success"}
        if code:
            subject, _, reason = code.partition("/")
            status["statusCodeData"] = {"subjectCode": subject, "reasonCode": reason}
        now = datetime.datetime.now(datetime.UTC)
        time = str(int(now.timestamp())) if how.epoch else now.isoformat(timespec="seconds")
        body: dict[str, Any] = {
            "header": {
                "functionRequesterIdentifier": "1.3.6.1.4.1.31746",
                "functionCallIdentifier": str(uuid.uuid4()),
            },
            "iccid": profile.iccid.ljust(20, "F") if how.padded else profile.iccid,
            "profileType": profile.profile_type,
            how.time_name: time,
        }
        name = "notificationEvent" if how.version_3 else "notificationPointId"
        body[name] = str(point) if how.text_point else point
        body["notificationEventStatus" if how.version_3 else "notificationPointStatus"] = status
        if profile.eid:
            body["eid"] = profile.eid
        if how.device:
            body |= {"imei": "350000000000006", "tac": "35000000"}
        if result is None and str(point) == "4" and not code:
            result = _SUCCESS
        if result:
            body["resultData"] = base64.b64encode(result).decode()
        return body

    async def notify(self, profile: Profile, point: int | str, code: str = "") -> Sent:
        """Send one notification."""
        return await self.send(self.body(profile, point, code))

    async def send(self, body: dict[str, Any] | bytes) -> Sent:
        """Send a body as it is, perhaps once more."""
        how = self.dialect
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = body if isinstance(body, dict) else {}
        async with httpx2.AsyncClient(
            verify=self._context(), trust_env=False, timeout=SECONDS
        ) as client:
            answer = await client.post(
                self.url.rstrip("/") + how.prefix + (PATH_3 if how.version_3 else PATH),
                content=raw,
                headers={
                    "content-type": "application/json;charset=UTF-8",
                    "x-admin-protocol": f"gsma/rsp/v{'3.1.0' if how.version_3 else '2.5.0'}",
                },
            )
        point = str(fields.get("notificationPointId", fields.get("notificationEvent", "")))
        headers = {name.lower(): value for name, value in answer.headers.items()}
        sent = Sent(
            str(fields.get("iccid", "")), point, answer.status_code, headers, answer.content
        )
        self.sent.append(sent)
        return sent

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if self.credential is not None:
            context.load_cert_chain(self.credential.chain, self.credential.key)
        return context
