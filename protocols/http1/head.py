"""The head of a request, RFC 9112 §2 to §6: strict, in one pass, without regular expressions.

Stricter than the standard allows where leniency has been used to smuggle requests: lines end with
CRLF only, no obsolete folding, no blank before a colon, no list in Content-Length.
"""

from typing import Final

from protocols.http.authority import host_of
from protocols.http.message import HttpRequest
from protocols.http1.errors import BadRequest

TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VISIBLE: Final = bytes(range(0x21, 0x7F))
# RFC 9110 §5.5: no control characters but HTAB; CR and LF are counted against the line ends.
FIELD_OCTETS: Final = bytes((0x09, 0x0A, 0x0D, *range(0x20, 0x7F), *range(0x80, 0x100)))
_KNOWN_METHODS: Final = frozenset((b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"))
_MAX_LENGTH_DIGITS: Final = 15

# Names that need no check of their letters; those with True decide something here.
_NAMES: Final[dict[bytes, bool]] = {
    **dict.fromkeys(
        (
            b"accept",
            b"accept-encoding",
            b"accept-language",
            b"authorization",
            b"content-type",
            b"cookie",
            b"user-agent",
        ),
        False,
    ),
    **dict.fromkeys(
        (
            b"host",
            b"connection",
            b"content-encoding",
            b"content-length",
            b"transfer-encoding",
            b"expect",
        ),
        True,
    ),
}

NO_BODY: Final = 0
CHUNKED: Final = -1


class Head:
    """What the head says.

    Attributes:
        request: without its body.
        keep_alive: the connection may go on after the answer (§9.3).
        is_http_1_0: the client speaks HTTP/1.0 and must be told when the connection stays.
        length: of the body in octets; `NO_BODY` or `CHUNKED`.
        expects_continue: the client waits for 100 before it sends the body (RFC 9110 §10.1.1).
    """

    __slots__ = ("expects_continue", "is_http_1_0", "keep_alive", "length", "request")

    def __init__(self, request: HttpRequest, *, is_http_1_0: bool) -> None:
        self.request = request
        self.is_http_1_0 = is_http_1_0
        self.keep_alive = not is_http_1_0
        self.length = NO_BODY
        self.expects_continue = False


def parse_head(head: bytes, max_fields: int) -> Head:
    """Read a request line and its fields.

    Args:
        head: without the empty line that ends it, and without the CRLF before that.
        max_fields: more are refused with 431.

    Raises:
        BadRequest: with the status of the answer.
    """
    lines = head.split(b"\r\n")
    ends = len(lines) - 1
    if head.count(b"\n") != ends or head.count(b"\r") != ends or head.translate(None, FIELD_OCTETS):
        raise BadRequest(400, "forbidden octet in the head")
    if ends > max_fields:
        raise BadRequest(431, "too many fields")
    request, is_http_1_0 = _request_line(lines[0])
    headers = request.headers
    special = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        kind = _NAMES.get(name)
        if kind is None and (not name or name.translate(None, TOKEN)):
            raise BadRequest(400, "field name")  # also obsolete line folding (§5.2)
        if not colon:
            raise BadRequest(400, "field without a colon")
        field = (name, value.strip(b" \t"))
        headers.append(field)
        if kind:
            special.append(field)
    result = Head(request, is_http_1_0=is_http_1_0)
    _apply(result, special)
    return result


def _request_line(line: bytes) -> tuple[HttpRequest, bool]:
    parts = line.split(b" ")
    if len(parts) != 3:
        raise BadRequest(400, "request line")
    method, target, version = parts
    is_http_1_0 = version == b"HTTP/1.0"
    if version != b"HTTP/1.1" and not is_http_1_0:
        if version[:5] == b"HTTP/" and version[5:6].isdigit():
            raise BadRequest(505, "HTTP version")
        raise BadRequest(400, "request line")
    if method not in _KNOWN_METHODS and (not method or method.translate(None, TOKEN)):
        raise BadRequest(400, "method")
    if not target or target.translate(None, _VISIBLE):
        raise BadRequest(400, "request target")
    if method == b"CONNECT":
        raise BadRequest(405, "no tunnels here")
    authority = b""
    if target[:1] != b"/" and not (target == b"*" and method == b"OPTIONS"):
        authority, target = _absolute_form(target)
    return HttpRequest(method, target, authority, []), is_http_1_0


def _absolute_form(target: bytes) -> tuple[bytes, bytes]:
    """§3.2.2: "a server MUST accept the absolute-form in requests"."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise BadRequest(400, "request target")
    end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not authority:
        raise BadRequest(400, "request target")
    return authority, path if path[:1] == b"/" else b"/" + path


def _apply(head: Head, fields: list[tuple[bytes, bytes]]) -> None:
    """The fields that decide about framing, body, connection and authority."""
    host: bytes | None = None
    length: int | None = None
    codings: list[bytes] = []
    options: list[bytes] = []
    for name, value in fields:
        if name == b"host":
            if host is not None:
                raise BadRequest(400, "host twice")
            host = value
        elif name == b"connection":
            options += [option.strip(b" \t") for option in value.lower().split(b",")]
        elif name == b"content-length":
            length = _content_length(value, length)
        elif name == b"content-encoding":
            coding = head.request.coding
            head.request.coding = coding + b"," + value if coding else value
        elif name == b"transfer-encoding":
            codings.append(value.lower())
        elif value.lower() == b"100-continue":
            head.expects_continue = not head.is_http_1_0
        else:
            raise BadRequest(417, "expectation")
    # §9.3; "close" wins over "keep-alive".
    head.keep_alive = b"close" not in options and (not head.is_http_1_0 or b"keep-alive" in options)
    # §3.2; RFC 9110 §4.2.2: a host that is empty means none, which https does not have. What
    # else is wrong with a host is found by whoever knows which ones are served.
    if not host and not head.is_http_1_0:
        raise BadRequest(400, "host missing")
    if not head.request.authority:
        head.request.authority = host or b""
    elif host and host_of(host) is None:  # §3.2.2: the absolute form wins over Host
        raise BadRequest(400, "host malformed")
    if codings:
        # §6.1, §6.3: with Content-Length, or in HTTP/1.0, this is how requests are smuggled.
        if length is not None or head.is_http_1_0:
            raise BadRequest(400, "transfer-encoding out of place")
        if codings != [b"chunked"]:
            raise BadRequest(501, "transfer coding")
        head.length = CHUNKED
    elif length is not None:
        head.length = length


def _content_length(value: bytes, before: int | None) -> int:
    if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
        raise BadRequest(400, "content-length")
    length = int(value)
    if before not in (None, length):
        raise BadRequest(400, "content-length twice")
    return length
