"""The command line's side of the management listener, with the standard library alone.

Blocking: it runs in a process of its own, started by a person.
"""

import http.client
import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

CONNECT_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 10.0  # the listener writes at least a line a second
LONGEST_LINE: Final = 4_000_000  # octets: a body of 32 kB is far below


class ManagementError(Exception):
    """The listener cannot be reached, or refused; the text is for a person."""


def stream_trace(base: str, imsi: str, seconds: float, secrets: bool) -> Iterator[bytes]:
    """The lines of a trace as they come, until it is over.

    Args:
        base: such as `http://127.0.0.1:8081`.

    Raises:
        ManagementError: at once, or when the stream breaks.
    """
    query = {"imsi": imsi, "seconds": f"{seconds:g}", "secrets": str(int(secrets))}
    connection = _connect(base)
    try:
        response = _ask(connection, base, "GET", "/trace", query)
        if connection.sock is not None:
            connection.sock.settimeout(SILENCE_SECONDS)
        while line := response.readline(LONGEST_LINE):
            yield line
    except TimeoutError:
        raise ManagementError(f"{base} fell silent") from None
    except (OSError, http.client.HTTPException) as error:
        raise ManagementError(f"{base} ended the trace: {error}") from None
    finally:
        connection.close()


def ask_explain(base: str, query: dict[str, str]) -> list[dict[str, Any]]:
    """The steps of a decision.

    Raises:
        ManagementError: it cannot be reached, or the question makes no sense to it.
    """
    connection = _connect(base)
    try:
        body = _ask(connection, base, "POST", "/explain", query).read()
        steps = json.loads(body)
    except (OSError, http.client.HTTPException) as error:
        raise ManagementError(f"{base} broke off: {error}") from None
    except ValueError:
        raise ManagementError(f"{base} is no management listener") from None
    finally:
        connection.close()
    if not isinstance(steps, list):
        raise ManagementError(f"{base} is no management listener")
    return steps


def _connect(base: str) -> http.client.HTTPConnection:
    parts = urlsplit(base if "//" in base else f"http://{base}")
    try:
        port = parts.port
    except ValueError:
        raise ManagementError(f"{base} has no port that exists") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ManagementError(f"{base} is no URL such as http://127.0.0.1:8081")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, port, timeout=CONNECT_SECONDS)


def _ask(
    connection: http.client.HTTPConnection,
    base: str,
    method: str,
    path: str,
    query: dict[str, str],
) -> http.client.HTTPResponse:
    try:
        connection.request(method, f"{path}?{urlencode(query)}")
        response = connection.getresponse()
    except OSError as error:
        raise ManagementError(
            f"no answer from {base} ({error}). Is the node running, and is that its "
            "[management] listen address? Another one: --management URL"
        ) from None
    except http.client.HTTPException:
        raise ManagementError(f"{base} is no management listener") from None
    if response.status != 200:
        raise ManagementError(_problem(response))
    return response


def _problem(response: http.client.HTTPResponse) -> str:
    body = response.read(65_536)
    try:
        return str(json.loads(body)["error"])
    except (ValueError, LookupError, TypeError):
        return f"the management listener answered {response.status}"
