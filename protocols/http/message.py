"""A request and a response as every layer above the wire sees them.

Field names are lower case and values are octets, as on the wire of HTTP/2; HTTP/1.1 is brought to
the same form. Plain slotted classes, not dataclasses: one of each is built for every exchange.
"""

from typing import Final

TEXT_PLAIN: Final = b"text/plain; charset=utf-8"


class HttpRequest:
    """One complete request.

    Attributes:
        method: upper case, such as `b"GET"`.
        target: path and query as sent, such as `b"/?app=ap2004"`.
        authority: `:authority`, or the Host field; empty when the client sent neither.
        headers: (lower-case name, value) in order, without pseudo-headers; several `cookie`
            fields stay several.
        body: the whole body, empty when there is none.
        coding: value of Content-Encoding, several fields joined with a comma; empty for none, and
            once the body is decoded.
    """

    __slots__ = ("authority", "body", "coding", "headers", "method", "target")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        authority: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes = b"",
    ) -> None:
        self.method = method
        self.target = target
        self.authority = authority
        self.headers = headers
        self.body = body
        self.coding = b""

    def header(self, name: bytes) -> bytes | None:
        """The first value of the field `name` (lower case), or None."""
        for field, value in self.headers:
            if field == name:
                return value
        return None

    def __repr__(self) -> str:
        # No query, fields or body: tokens, cookies and identities live there.
        path = self.target.partition(b"?")[0]
        return f"<HttpRequest {self.method!r} {path!r} body={len(self.body)}>"


class HttpResponse:
    """One complete response.

    Attributes:
        status: the status code.
        content_type: value of Content-Type; empty for a response without a body.
        body: the whole body.
        headers: further fields, (lower-case name, value), in order. Never content-length, date or
            connection: the engine adds what its version needs.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int,
        content_type: bytes = b"",
        body: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.status = status
        self.content_type = content_type
        self.body = body
        self.headers = headers

    def header(self, name: bytes) -> bytes | None:
        """The first value of the field `name` (lower case), or None."""
        for field, value in self.headers:
            if field == name:
                return value
        return None

    def __repr__(self) -> str:
        return f"<HttpResponse {self.status} {self.content_type!r} body={len(self.body)}>"


def text_response(
    status: int, text: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> HttpResponse:
    """An explanation for a person; HTTP/2 has no reason phrase, so the text is the body."""
    return HttpResponse(status, TEXT_PLAIN, text.encode() + b"\n", headers)
