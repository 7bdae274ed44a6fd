"""The management listener: health, metrics, statistics, traces and explanations, for operators.

| request | answer |
|---|---|
| GET /live | 200 as long as the loop turns |
| GET /ready | 200, or 503 with the parts that are not ready and why |
| GET /metrics | Prometheus text |
| GET /statistics | the statistics of every part, JSON |
| GET /trace?imsi=…&seconds=60&secrets=0 | a stream of lines (`node/trace/event_json.py`) |
| POST /explain?imsi=…&app=ap2003,ap2004&tenant=… | what the node would answer, and why, JSON |

Plain HTTP without authentication: bind it to a management network or to 127.0.0.1. A request that a
browser sends from another site is refused.
"""

import re
from collections.abc import AsyncIterator
from functools import partial
from types import TracebackType
from typing import Final, Self

import trio
from quart import Blueprint, Response, request
from quart.wrappers.response import ResponseBody
from quart_trio import QuartTrio

from actors.trace.recorder import TooManyTraces
from config.model import Management as Settings
from node.asgi_listener import AsgiListener
from node.failures import leaves
from node.metrics import CONTENT_TYPE
from node.view import Lines, View, as_json
from protocols.identity import Imsi

BODY_OCTETS: Final = 16_384  # nothing here needs a body
TRACE_SECONDS: Final = 60.0
IDLE_SECONDS: Final = 15.0  # a kept connection without a request

_PROBLEMS: Final = {
    400: "the request is malformed",
    404: "no such page",
    405: "not with this method",
    413: "the body is too large",
    500: "a fault of the node; the log has more",
}


class Management:
    """What operators and their systems ask.

    Attributes:
        app: the application.
        listener: where it is served.
    """

    def __init__(self, settings: Settings, view: View) -> None:
        """Put the parts together; nothing runs yet.

        Args:
            settings: [management] of the configuration.
            view: what is shown.
        """
        self._listen = settings.listen
        self.app = application(view)
        self.listener = AsgiListener(
            self.app, settings.listen, idle_seconds=IDLE_SECONDS, graceful_seconds=1.0
        )

    async def run(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; reports the URLs.

        Raises:
            OSError: in an exception group; the address cannot be bound.
        """
        try:
            async with trio.open_nursery() as nursery:
                url = await nursery.start(self.listener.run)
                task_status.started([url])
        except* OSError as group:
            error = next(iter(leaves(group)))
            reason = getattr(error, "strerror", None) or str(error)
            text = f"cannot listen on {self._listen}: {reason}"
            raise OSError(getattr(error, "errno", None), text) from None


def application(view: View) -> QuartTrio:
    """The application alone, for a listener of the caller's."""
    app = QuartTrio("management")
    app.config["MAX_CONTENT_LENGTH"] = BODY_OCTETS
    app.config["BODY_TIMEOUT"] = 5  # seconds
    app.before_request(_refuse)
    for status, text in _PROBLEMS.items():
        app.register_error_handler(status, partial(_http_error, status, text))
    app.register_blueprint(_health(view))
    app.register_blueprint(_numbers(view))
    app.register_blueprint(_subscriber(view))
    return app


def _health(view: View) -> Blueprint:
    pages = Blueprint("health", __name__)

    @pages.get("/live")
    async def live() -> Response:
        return _json({"live": True})

    @pages.get("/ready")
    async def ready() -> Response:
        is_ready, body = await view.ready()
        return _json(body, 200 if is_ready else 503)

    return pages


def _numbers(view: View) -> Blueprint:
    pages = Blueprint("numbers", __name__)

    @pages.get("/metrics")
    async def text() -> Response:
        return Response(await view.metrics(), content_type=CONTENT_TYPE)

    @pages.get("/statistics")
    async def statistics() -> Response:
        return _json(await view.statistics())

    return pages


def _subscriber(view: View) -> Blueprint:
    pages = Blueprint("subscriber", __name__)

    @pages.get("/trace")
    async def trace() -> Response:
        hide = request.args.get("secrets", "0") != "1"
        try:
            imsi = Imsi(request.args.get("imsi", ""))
            seconds = _seconds(request.args.get("seconds", ""))
            trace = view.trace(imsi, seconds, hide=hide)
            body = _TraceBody(trace, await trace.__aenter__())
        except ValueError as error:
            return _problem(400, str(error))
        except TooManyTraces as error:
            return _problem(503, str(error))
        response = Response(b"", content_type="application/x-ndjson")
        response.response = body
        response.timeout = None  # the trace has its own time
        response.headers.pop("content-length", None)
        response.headers["cache-control"] = "no-store"
        return response

    @pages.post("/explain")
    async def explanation() -> Response:
        args = request.args
        app = args.get("app", "").lower().replace(" ", "")
        version = args.get("entitlement_version", "12.0")
        try:
            imsi = Imsi(args.get("imsi", ""))
        except ValueError as error:
            return _problem(400, str(error))
        if not re.fullmatch(r"ap2[0-9]{3}(,ap2[0-9]{3}){0,15}", app):
            return _problem(
                400, "app is an application id of TS.43, such as ap2004, or several with commas"
            )
        if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", version):
            return _problem(400, "entitlement_version is a number, such as 12.0")
        language = args.get("language", "")
        try:
            steps = await view.explain(args.get("tenant") or None, imsi, app, version, language)
        except LookupError as error:
            return _problem(404, str(error.args[0]) if error.args else "not found")
        except ValueError as error:
            return _problem(400, str(error))
        return _json(steps)

    return pages


class _TraceBody(ResponseBody):
    """The lines of one trace, armed already. Leaving it in any way disarms the trace."""

    def __init__(self, trace: Lines, lines: AsyncIterator[bytes]) -> None:
        self._trace = trace
        self._lines = lines

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException], error: BaseException, traceback: TracebackType
    ) -> None:
        await self._trace.__aexit__(None, None, None)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._lines


async def _refuse() -> Response | None:
    """What no request may bring along."""
    if (request.content_length or 0) > BODY_OCTETS:
        return _problem(413, f"a body of more than {BODY_OCTETS} octets")
    # A page in an operator's browser must not read traces (DNS rebinding, forged requests).
    if "origin" in request.headers or request.headers.get("sec-fetch-site") == "cross-site":
        return _problem(403, "not for pages of other sites")
    return None


async def _http_error(status: int, text: str, _error: Exception) -> Response:
    return _problem(status, text)


def _seconds(text: str) -> float:
    try:
        return float(text or TRACE_SECONDS)
    except ValueError:
        raise ValueError("seconds is a number") from None


def _json(content: object, status: int = 200) -> Response:
    response = Response(as_json(content), status=status, content_type="application/json")
    response.headers["cache-control"] = "no-store"
    return response


def _problem(status: int, text: str) -> Response:
    return _json({"error": text}, status)
