"""The client half of HTTP/1.1 for the load client: one request at a time, kept alive."""

from scripts.bench.load_messages import Answer, LoadError, Request
from scripts.lab.device_http1 import Http1Exchange
from scripts.lab.device_http_errors import DeviceHttpError


class Http1:
    """One connection, of the same form as `Http2`.

    Attributes:
        out: octets to send.
    """

    __slots__ = ("_authority", "_exchange", "_number", "out")

    def __init__(self, authority: bytes) -> None:
        self._authority = authority
        self._exchange: Http1Exchange | None = None
        self._number = 0
        self.out: list[bytes] = []

    def request(self, one: Request) -> int:
        """Queue a request; its number.

        Raises:
            LoadError: the one before has no answer yet.
        """
        if self._exchange is not None:
            raise LoadError("two requests at once over HTTP/1.1")
        self._exchange = Http1Exchange(self._authority)
        self.out.append(self._exchange.encode(one.method, one.path, one.headers, one.body))
        self._number += 1
        return self._number

    def receive(self, data: bytes) -> list[tuple[int, Answer]]:
        """The complete answer, if it is.

        Raises:
            LoadError: the server breaks the protocol.
        """
        exchange = self._exchange
        if exchange is None:
            raise LoadError("octets without a request")
        try:
            if not exchange.receive(data):
                return []
        except DeviceHttpError as error:
            raise LoadError(str(error)) from None
        answer = Answer()
        answer.status = exchange.status
        answer.body = exchange.body
        for name, value in exchange.headers:
            answer.take(name, value)
        self._exchange = None
        return [(self._number, answer)]
