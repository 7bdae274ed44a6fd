"""One request that waits for its answer: the reply address that the listener hands out."""

from collections.abc import Callable
from typing import Protocol

from protocols.http.message import HttpResponse


class Answerable(Protocol):
    """The connection as its exchanges see it."""

    peer: str
    http_version: str

    def respond(self, stream_id: int, response: HttpResponse) -> None:
        """Answer one request."""
        ...


class Exchange:
    """Stands for one stream of one connection.

    Attributes:
        gone: the stream was reset or the connection died before the answer.
        answered: the answer was given.
        server_name: the host that the request is for, lower case; see `authority.name_of`.
        on_gone: set by whoever has work under way for it: called once when it is gone.
    """

    __slots__ = ("_connection", "_stream_id", "answered", "gone", "on_gone", "server_name")

    def __init__(self, connection: Answerable, stream_id: int, server_name: str) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self.server_name = server_name
        self.gone = False
        self.answered = False
        self.on_gone: Callable[[], None] | None = None

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._connection.peer

    @property
    def http_version(self) -> str:
        """`1.1` or `2`."""
        return self._connection.http_version

    def answer(self, response: HttpResponse) -> None:
        """Give the response: once, now or later, from anywhere in the Trio thread.

        It leaves when the turn ends. Ignored when the exchange is gone or answered.
        """
        if not (self.answered or self.gone):
            self.answered = True
            self.on_gone = None
            self._connection.respond(self._stream_id, response)

    def lose(self) -> None:
        """The device left before the answer: tell whoever works for it."""
        self.gone = True
        on_gone, self.on_gone = self.on_gone, None
        if on_gone is not None:
            on_gone()
