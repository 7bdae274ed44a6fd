"""Frames on a stream between processes of one node: four octets of length, then the content."""

from typing import Final

LENGTH_OCTETS: Final = 4
LONGEST: Final = 1 << 26  # octets; more than any configuration or statistics have


class FrameTooLong(Exception):
    """The other side does not speak this language: its connection cannot be used any more."""


def framed(content: bytes) -> bytes:
    """The content as it travels."""
    return len(content).to_bytes(LENGTH_OCTETS, "big") + content


class FrameCutter:
    """Cuts a stream into its frames."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, data: bytes) -> list[bytes]:
        """The frames that are whole with `data`, in order.

        Raises:
            FrameTooLong: a length is beyond `LONGEST`.
        """
        if self._rest:
            data = self._rest + data
        frames = []
        at, end = 0, len(data)
        while end - at >= LENGTH_OCTETS:
            length = int.from_bytes(data[at : at + LENGTH_OCTETS], "big")
            if length > LONGEST:
                raise FrameTooLong(f"a frame of {length} octets")
            stop = at + LENGTH_OCTETS + length
            if stop > end:
                break
            frames.append(data[at + LENGTH_OCTETS : stop])
            at = stop
        self._rest = data[at:]
        return frames
