"""What workers of one node say to each other about a request that is another one's.

A frame is a list of messages: all that one turn of the loop brought for that worker, encoded and
written at once. MessagePack arrays; both ends are the same program.
"""

from typing import Final

import msgspec

from node.frames import framed
from protocols.http.message import HttpRequest, HttpResponse

LAST_HOP: Final = 2  # a request is passed on to a successor and then to an owner, never further

_Fields = list[tuple[bytes, bytes]]


class Ask(msgspec.Struct, array_like=True, tag=0, gc=False):
    """Serve this request.

    Attributes:
        number: of the sender's own counting; the answers carry it.
        until: seconds of `time.monotonic`, which all processes of a machine share. Who reads it
            later does not serve it: by then the sender has gone on without.
        hops: how often it has been passed on, this time included.
    """

    number: int
    until: float
    hops: int
    peer: str
    server_name: str
    http_version: str
    method: bytes
    target: bytes
    authority: bytes
    headers: _Fields
    body: bytes

    def request(self) -> HttpRequest:
        """The request as the device sent it."""
        return HttpRequest(self.method, self.target, self.authority, self.headers, self.body)


class Gone(msgspec.Struct, array_like=True, tag=1, gc=False):
    """The device of an `Ask` left, or the sender does not wait any longer."""

    number: int


class Taken(msgspec.Struct, array_like=True, tag=2, gc=False):
    """These are being served; their answers come later."""

    numbers: list[int]


class Refused(msgspec.Struct, array_like=True, tag=3, gc=False):
    """This one is not served, and nothing was done for it."""

    number: int


class Answered(msgspec.Struct, array_like=True, tag=4, gc=False):
    """The response to an `Ask`."""

    number: int
    status: int
    content_type: bytes
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    def response(self) -> HttpResponse:
        """The response as the owner gave it."""
        return HttpResponse(self.status, self.content_type, self.body, self.headers)


Message = Ask | Gone | Taken | Refused | Answered

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Message]).decode


def encode(messages: list[Message]) -> bytes:
    """A frame of messages."""
    return framed(_encode(messages))


def decode(content: bytes) -> list[Message]:
    """The messages of a frame.

    Raises:
        msgspec.DecodeError: it holds something else.
    """
    return _decode(content)
