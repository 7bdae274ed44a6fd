"""What both server machines report: a complete request, or the end of one that nobody waits for."""

from protocols.http.message import HttpRequest

Event = tuple[int, HttpRequest | None]
"""(stream, request): complete. (stream, None): that stream is gone before its answer."""
