"""HTTPS to one SM-DP+: mutual TLS, kept connections, and whether a failed request was sent.

httpx2 carries it: HTTP/1.1, or HTTP/2 where that is offered and the peer takes it (ALPN). Its
trace tells when the first octet of a request is written; before that nothing can have been
executed. No proxies, no trust from the environment, no redirects.
"""

import ssl
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import trio

from actors.backends.smdp_plus import Cause
from actors.backends.smdp_plus_answers import HttpAnswer
from protocols.es2plus.bodies import MAX_BODY_OCTETS

KEEP_SECONDS: Final = 20.0  # an unused connection; less than most servers keep it
# Alerts by which the server refuses our certificate. In TLS 1.3 they come after the client's side
# of the handshake is over, but a server handles no request before it is over on its own.
_REFUSED_BY_ALERT: Final = (
    "CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED", "CERTIFICATE_UNKNOWN", "UNSUPPORTED_CERTIFICATE", "ACCESS_DENIED",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HttpFailure:
    """No answer came.

    Attributes:
        sent: the request may have reached the peer.
    """

    cause: Cause
    sent: bool
    detail: str


def client_context(ca: str, certificate: str, key: str) -> ssl.SSLContext:
    """TLS 1.2 or later with our certificate, trusting `ca` alone.

    Raises:
        OSError: a file cannot be read or used (ssl.SSLError is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca)
    context.load_cert_chain(certificate, key)
    return context


class SmdpPlusHttp:
    """The connections to one SM-DP+. `close` when the settings change: calls under way finish."""

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext | None,
        *,
        server_name: str = "",
        basic: tuple[str, str] | None = None,
        http2: bool = False,
        max_connections: int = 8,
    ) -> None:
        """Describe the peer; nothing is connected yet.

        Args:
            url: scheme, host and port.
            context: None for http://.
            server_name: for SNI and in the peer's certificate; empty: the host.
            basic: user and password.
            http2: offer it.
            max_connections: of HTTP/1.1, one for each call at the same time.
        """
        self._url = url.rstrip("/")
        self._extensions = {"sni_hostname": server_name} if server_name else {}
        self._client = httpx2.AsyncClient(
            verify=context or False,
            auth=httpx2.BasicAuth(*basic) if basic else None,
            http2=http2,
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_connections,
                keepalive_expiry=KEEP_SECONDS,
            ),
            headers={"user-agent": "entitlement-node", "accept-encoding": "identity"},
        )
        self._calls = 0
        self._closing = False

    async def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        connect_seconds: float,
        answer_seconds: float,
    ) -> HttpAnswer | HttpFailure:
        """One request and its whole answer.

        Args:
            path: behind the url.
            body: JSON.
            headers: besides those that every request has.
            connect_seconds: name look-up, TCP and TLS.
            answer_seconds: for all that follows, however slowly it drips.
        """
        self._calls += 1
        try:
            return await self._post(path, body, headers, connect_seconds, answer_seconds)
        finally:
            self._calls -= 1
            if self._closing:
                with trio.CancelScope(shield=True):
                    await self.close()

    async def _post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        connect_seconds: float,
        answer_seconds: float,
    ) -> HttpAnswer | HttpFailure:
        sending = _Sending(answer_seconds)
        timeout = httpx2.Timeout(
            connect=connect_seconds, read=answer_seconds, write=answer_seconds, pool=connect_seconds
        )
        try:
            # httpx2 applies a time to each read; the scope bounds all of them together.
            with trio.fail_after(connect_seconds + answer_seconds) as sending.scope:
                async with self._client.stream(
                    "POST",
                    self._url + path,
                    content=body,
                    headers=dict(headers),
                    timeout=timeout,
                    extensions={"trace": sending.trace, **self._extensions},
                ) as response:
                    return await _whole(response)
        except (trio.TooSlowError, httpx2.TransportError) as error:
            return _failure(error, sending.sent)
        except _TooLarge:
            return HttpFailure(Cause.MALFORMED_ANSWER, True, "the answer is too large")

    async def close(self) -> None:
        """Take no new call; close the connections when the last one has ended."""
        self._closing = True
        if self._calls == 0:
            await self._client.aclose()


class _Sending:
    """Notices when the request's first octet is written; its own time runs from then on."""

    def __init__(self, answer_seconds: float) -> None:
        self.sent = False
        self.scope: trio.CancelScope | None = None
        self._answer_seconds = answer_seconds

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started") and not self.sent:
            self.sent = True
            if self.scope is not None:
                deadline = trio.current_time() + self._answer_seconds
                self.scope.deadline = min(self.scope.deadline, deadline)


class _TooLarge(Exception):
    """The body exceeds the bound."""


async def _whole(response: httpx2.Response) -> HttpAnswer:
    chunks = []
    octets = 0
    async with aclosing(response.aiter_raw()) as whole:
        async for chunk in whole:
            octets += len(chunk)
            if octets > MAX_BODY_OCTETS:
                raise _TooLarge
            chunks.append(chunk)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpAnswer(response.status_code, headers, b"".join(chunks))


def _failure(error: Exception, sent: bool) -> HttpFailure:
    tls = _tls_error(error)
    detail = (tls.reason or type(tls).__name__) if tls is not None else type(error).__name__
    if tls is not None and (not sent or any(word in detail for word in _REFUSED_BY_ALERT)):
        return HttpFailure(Cause.TLS_REFUSED, False, detail)
    if not sent:
        return HttpFailure(Cause.CONNECT_FAILED, False, detail)
    if isinstance(error, trio.TooSlowError | httpx2.TimeoutException):
        return HttpFailure(Cause.TIMEOUT, True, detail)
    return HttpFailure(Cause.CONNECTION_LOST, True, detail)


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error behind an error of the libraries."""
    for _ in range(10):  # chains are short; a cycle must not hang
        if error is None or isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__ or error.__context__
    return None
