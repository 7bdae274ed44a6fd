"""What SM-DP+ report: HandleDownloadProgressInfo (version 2) and HandleNotification (version 3).

| request | answer |
|---|---|
| POST …/gsma/rsp2/es2plus/handleDownloadProgressInfo, handleNotification | 204 with an empty body |
| of a certificate that is nobody's here, or about an ICCID of somebody else | 403 |
| that is no notification | 400 |
| that could not be persisted | 503, so that the SM-DP+ repeats it |
| another method / another path | 405 / 404 |

Source: GSMA SGP.22 §5.3.5, §6.3 (notification pattern).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec
import structlog
import trio
from quart import Response, request
from quart_trio import QuartTrio

from actors.backends.smdp_plus import (
    Disposition,
    NotificationSink,
    NotKept,
    ProfileEvent,
)
from actors.backends.smdp_plus_reporters import Reporter, Reporters
from actors.trace.order_legs import Answered, OrderLegs, unseen
from node.partner.listener import CLIENT_CERTIFICATE
from protocols.es2plus.bodies import MAX_BODY_OCTETS
from protocols.es2plus.failures import Es2PlusError
from protocols.es2plus.paths import ADMIN_PROTOCOL, BASE_PATH, admin_protocol
from protocols.es2plus.status_codes import Function
from protocols.http.message import HttpRequest, HttpResponse
from protocols.identity import masked

_log = structlog.get_logger("es2plus")

KEEP_SECONDS: Final = 5.0  # to persist a notification; SM-DP+ wait longer
RETRY_AFTER: Final = "30"  # seconds
_STATUSES: Final = (400, 404, 405, 408, 413)
_FUNCTIONS: Final = frozenset(
    {Function.HANDLE_DOWNLOAD_PROGRESS_INFO.value, Function.HANDLE_NOTIFICATION.value}
)


@dataclass(frozen=True, slots=True)
class NotificationStatistics:
    """What became of notifications.

    Attributes:
        received: by what became of them.
        events: by SM-DP+ and what they told.
    """

    received: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)


class Es2PlusEndpoint:
    """The application behind the partner listener.

    Attributes:
        reporters: who may report; replaced by a reload.
    """

    def __init__(
        self,
        reporters: Reporters,
        sink: NotificationSink,
        *,
        request_seconds: float = 10.0,
        legs: OrderLegs | None = None,
    ) -> None:
        """Put it together.

        Args:
            reporters: from the configuration.
            sink: persists a notification; raises `NotKept` when it cannot.
            request_seconds: from the first octet of a body to its last.
            legs: told of every notification while a trace runs.
        """
        self.reporters = reporters
        self._legs = legs
        self._sink = sink
        self._received: Counter[str] = Counter()
        self._events: Counter[str] = Counter()
        self.app = self._application(request_seconds)

    def statistics(self) -> NotificationStatistics:
        """As it stands now."""
        return NotificationStatistics(dict(self._received), dict(self._events))

    def _application(self, request_seconds: float) -> QuartTrio:
        app = QuartTrio("partner")
        app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_OCTETS
        app.config["BODY_TIMEOUT"] = request_seconds
        for status in _STATUSES:
            app.register_error_handler(status, partial(_refused, self, status))
        app.register_error_handler(500, partial(_crashed, self))
        app.add_url_rule("/<path:path>", "es2plus", self._answer, methods=["POST"])
        return app

    async def _answer(self, path: str) -> Response:
        prefix, _, function = f"/{path}".rpartition(BASE_PATH)
        if function not in _FUNCTIONS or f"/{path}" != f"{prefix}{BASE_PATH}{function}":
            return self._plain(404, "no-such-path")
        certificate = request.scope.get("state", {}).get(CLIENT_CERTIFICATE) or b""
        reporter = self.reporters.find(certificate, prefix)
        if reporter is None:
            _log.error("a notification of nobody's certificate", prefix=prefix)
            return self._plain(403, "unknown-sender")
        given = await request.get_data()
        body = given.encode() if isinstance(given, str) else given
        answered = await self._traced(reporter, f"/{path}", body)
        response = await self._take(reporter, body)
        content_type = response.headers.get("content-type", "").encode()
        answered(HttpResponse(response.status_code, content_type, await _body_of(response)))
        return response

    async def _traced(self, reporter: Reporter, path: str, body: bytes) -> Answered:
        if self._legs is None or not self._legs.armed:
            return unseen
        seen = HttpRequest(b"POST", path.encode(), b"", [], body)
        return await self._legs.message(reporter.tenant, reporter.name, seen, "in")

    async def _take(self, reporter: Reporter, body: bytes) -> Response:
        try:
            notification = reporter.notification(body)
        except Es2PlusError as error:
            _log.warning("no notification", smdp=_name(reporter), reason=str(error))
            return self._plain(400, "malformed", reporter)
        log = _log.bind(smdp=_name(reporter), point=notification.point)
        try:
            with trio.fail_after(KEEP_SECONDS):
                disposition = await self._sink(notification)
        except (NotKept, trio.TooSlowError) as error:
            log.error("notification not kept", reason=str(error) or type(error).__name__)
            return self._plain(503, "not-kept", reporter)
        self._events[f"{_name(reporter)} {notification.event.value}"] += 1
        if notification.event is ProfileEvent.UNKNOWN:
            log.warning("unknown notification point")
        if disposition is Disposition.UNKNOWN_ICCID:
            log.warning("notification of an unknown ICCID", iccid=masked(notification.iccid))
        if disposition is Disposition.FOREIGN_ICCID:
            log.error("notification of somebody else's ICCID", iccid=masked(notification.iccid))
            return self._plain(403, disposition.value, reporter)
        self._received[disposition.value] += 1
        return _done(reporter)

    def _plain(self, status: int, what: str, reporter: Reporter | None = None) -> Response:
        self._received[what] += 1
        response = Response(b"", status=status, content_type="text/plain")
        if status == 503:
            response.headers["retry-after"] = RETRY_AFTER
        return _signed(response, reporter)


def _done(reporter: Reporter) -> Response:
    if not reporter.driver.answers_with_header:
        response = Response(b"", status=204)
        response.headers.pop("content-type", None)
        return _signed(response, reporter)
    # Some vendors expect what every other function answers.
    body = {"header": {"functionExecutionStatus": {"status": "Executed-Success"}}}
    encoded = msgspec.json.encode(body)
    return _signed(Response(encoded, content_type="application/json"), reporter)


def _signed(response: Response, reporter: Reporter | None) -> Response:
    if reporter is not None:
        response.headers[ADMIN_PROTOCOL] = admin_protocol(reporter.driver.version)
    return response


async def _body_of(response: Response) -> bytes:
    body = await response.get_data(as_text=False)
    return body if isinstance(body, bytes) else body.encode()


def _name(reporter: Reporter) -> str:
    return f"{reporter.tenant}/{reporter.name}"


async def _refused(endpoint: Es2PlusEndpoint, status: int, _error: Exception) -> Response:
    """What the framework refuses."""
    response = endpoint._plain(status, f"http-{status}")
    if status == 405:
        response.headers["allow"] = "POST"
    return response


async def _crashed(endpoint: Es2PlusEndpoint, error: Exception) -> Response:
    """A fault of ours: the SM-DP+ shall try again."""
    _log.error("bug", exc_info=getattr(error, "original_exception", None) or error)
    return endpoint._plain(503, "crashed")
