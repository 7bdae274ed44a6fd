"""Requests and answers of the load client."""

from collections.abc import Sequence
from dataclasses import dataclass


class LoadError(Exception):
    """The server did not do what the benchmark needs: the figures would mean nothing."""


@dataclass(slots=True)
class Request:
    """One request, without what the version of HTTP adds."""

    method: bytes
    path: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""


class Answer:
    """One answer; of its fields only what the exchanges need."""

    __slots__ = ("body", "content_type", "cookie", "retry_after", "status")

    def __init__(self) -> None:
        self.status = 0
        self.content_type = b""
        self.cookie = b""
        self.retry_after = 0
        self.body = b""

    def take(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        if name == b":status":
            self.status = int(value)
        elif name == b"content-type":
            self.content_type = value
        elif name == b"retry-after":
            self.retry_after = int(value)
        elif name == b"set-cookie":
            self.cookie = value.partition(b";")[0]
