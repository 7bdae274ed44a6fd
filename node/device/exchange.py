"""One request that waits for its answer: the reply address that the listener hands out."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from protocols.http.message import HttpResponse

if TYPE_CHECKING:
    from node.device.connection import DeviceConnection


class Exchange:
    """Stands for one stream of one connection until it is answered or gone.

    Attributes:
        gone: the stream was reset or the connection died; an answer would be for nobody.
        on_gone: called once when that happens before the answer.
        server_name: name of the TLS handshake (SNI), lower case; empty when there was none.
        peer: the client's address.
        http_version: `1.1` or `2`, for counters.
    """

    __slots__ = ("_connection", "_stream_id", "gone", "on_gone")

    def __init__(self, connection: "DeviceConnection", stream_id: int) -> None:
        self._connection = connection
        self._stream_id = stream_id
        self.gone = False
        self.on_gone: Callable[[], object] | None = None

    @property
    def server_name(self) -> str:
        """SNI, lower case; empty when the client sent none."""
        return self._connection.server_name

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._connection.peer

    @property
    def http_version(self) -> str:
        """`1.1` or `2`."""
        return self._connection.http_version

    def answer(self, response: HttpResponse) -> None:
        """Give the response, once, from anywhere in the Trio thread; written when the turn ends."""
        if not self.gone:
            self.gone = True  # answered: nobody waits any more
            self.on_gone = None
            self._connection.respond(self._stream_id, response)

    def leave(self) -> None:
        """The stream ended without an answer."""
        if not self.gone:
            self.gone = True
            on_gone, self.on_gone = self.on_gone, None
            if on_gone is not None:
                on_gone()
