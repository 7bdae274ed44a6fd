"""What our machine and the `h2` library as a server accept and refuse, frame by frame.

They agree on everything but what `DIFFERENCES` lists, each with the clause that is our reason.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tests.protocols.http2.frame_sequences import (
    ACCEPTED,
    ALL,
    CONNECTION,
    STREAM,
    USUAL,
    Ours,
    Sent,
    Theirs,
    headers,
)

MALFORMED = (
    "upper case",
    "empty name",
    "blank in a name",
    "line feed in a value",
    "blank before a value",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te gzip",
    "no method",
    "no scheme",
    "no path",
    "empty path",
    "method twice",
    "path twice",
    "status",
    "unknown pseudo",
    "late pseudo",
    "protocol",
    "length -1",
    "two lengths",
    "trailers",
)


class Difference(NamedTuple):
    """Where the two part ways.

    Attributes:
        reason: why ours is right, with the clause of RFC 9113 unless said otherwise.
        ours, theirs: the verdicts.
        applies: to a frame and the state of its stream.
    """

    reason: str
    ours: str
    theirs: str
    applies: Callable[[Sent, str], bool]


def _labels(*labels: str) -> Callable[[Sent, str], bool]:
    return lambda sent, _state: sent.label in labels


def _in(state: str, *prefixes: str) -> Callable[[Sent, str], bool]:
    return lambda sent, now: now == state and sent.label.startswith(prefixes)


DIFFERENCES = (
    Difference(
        "§8.1.1: a malformed request is a stream error; h2 ends the connection",
        STREAM,
        CONNECTION,
        lambda sent, state: (
            state == "IDLE"
            and sent.label.removesuffix(" end").removeprefix("headers ")
            in (*MALFORMED, "empty block")
        ),
    ),
    Difference(
        "§8.3.1: Host that differs from :authority is answered 400; h2 ends the connection",
        STREAM,
        CONNECTION,
        lambda sent, state: state == "IDLE" and sent.label.startswith("headers host differs"),
    ),
    Difference(
        "§8.1: a second header block without END_STREAM, or with pseudo-header fields, makes the "
        "request malformed, a stream error by §8.1.1; h2 ends the connection",
        STREAM,
        CONNECTION,
        _in("OPEN", "headers"),
    ),
    Difference("the same by CONTINUATION", STREAM, CONNECTION, _in("IN BLOCK", "continuation end")),
    Difference(
        "§8.1.1: DATA that contradicts content-length is a stream error; h2 ends the connection",
        STREAM,
        CONNECTION,
        _in("OPEN", "data"),
    ),
    Difference(
        "§8.1.1: END_STREAM without the octets that content-length promised; h2 looks at DATA only",
        STREAM,
        ACCEPTED,
        _labels("headers length 5 end", "headers trailers end", "headers empty block"),
    ),
    Difference(
        "§8.5 leaves CONNECT to the server: there are no tunnels here, it is answered 405",
        STREAM,
        ACCEPTED,
        _labels("headers connect", "headers connect end"),
    ),
    Difference(
        "RFC 9110 §4.2.2: an https URI with an empty host is invalid, it is answered 400",
        STREAM,
        ACCEPTED,
        _labels("headers empty authority", "headers empty authority end"),
    ),
    Difference(
        "§8.3.1 asks for :authority only of clients that have one to convey: without it a request "
        "is for the name of the handshake",
        ACCEPTED,
        CONNECTION,
        _labels("headers no authority", "headers no authority end"),
    ),
    Difference(
        "§5.3.2: priority is deprecated and not looked at; RFC 7540 §5.3.1 had an error for it",
        ACCEPTED,
        CONNECTION,
        _labels("headers depends on itself", "priority on itself"),
    ),
    Difference(
        "§5.1.1: a client opens odd streams only; h2 sees it when the header block is complete",
        CONNECTION,
        ACCEPTED,
        lambda sent, _state: sent.label == "headers begun" and not sent.stream & 1,
    ),
    Difference(
        "§6.4: RST_STREAM on an idle stream is a connection error; h2 ignores it",
        CONNECTION,
        ACCEPTED,
        _in("IDLE", "rst_stream"),
    ),
    Difference(
        "§5.1.1: an identifier that was passed over is unexpected, a connection error: no frame "
        "for it can have been under way; h2 resets the stream",
        CONNECTION,
        STREAM,
        _in("CLOSED_PASSED_OVER", "data"),
    ),
    Difference(
        "the same; h2 ignores it",
        CONNECTION,
        ACCEPTED,
        _in("CLOSED_PASSED_OVER", "rst_stream", "window_update"),
    ),
    Difference(
        "§6.10: CONTINUATION without HEADERS before it is a connection error; h2 resets the stream",
        CONNECTION,
        STREAM,
        _in("CLOSED_RESET_BY_PEER", "continuation"),
    ),
    Difference(
        "§6.9: an increment of 0 on a stream is a stream error; h2 ends the connection",
        STREAM,
        CONNECTION,
        _in("OPEN", "window_update zero"),
    ),
    Difference(
        "the same in half-closed (remote)",
        STREAM,
        CONNECTION,
        _in("HALF_CLOSED_REMOTE", "window_update zero"),
    ),
    Difference(
        "§5.1: WINDOW_UPDATE for a closed stream is ignored, whatever it says",
        ACCEPTED,
        CONNECTION,
        lambda sent, state: sent.label == "window_update zero" and state.startswith("CLOSED"),
    ),
    Difference(
        "§6.3: PRIORITY of a wrong length is a stream error; h2 ends the connection",
        STREAM,
        CONNECTION,
        _labels("priority short"),
    ),
)


class Pair:
    """Both servers, given the same frames."""

    def __init__(self) -> None:
        self.ours = Ours()
        self.theirs = Theirs()
        self.used: list[Difference] = []

    def send(self, sent: Sent) -> bool:
        """Compare the verdicts; False when what follows cannot be compared."""
        state = self.ours.state(sent)
        ours, theirs = self.ours.take(sent), self.theirs.take(sent)
        if ours != theirs:
            for difference in DIFFERENCES:
                if (difference.ours, difference.theirs) == (
                    ours,
                    theirs,
                ) and difference.applies(sent, state):
                    self.used.append(difference)
                    return False
            pytest.fail(
                f"{sent.label} on stream {sent.stream}, {state}: {ours}, but h2: {theirs} "
                f"{self.theirs.reason}"
            )
        # After any GOAWAY h2 takes no frame at all; §6.8 has the open streams go on.
        return ours == ACCEPTED and not sent.label.startswith("goaway")

    def answer(self, stream: int) -> None:
        if self.ours.answer(stream):
            self.theirs.answer(stream)


def _preludes() -> Iterator[tuple[str, tuple[Sent, ...], bool]]:
    """(name, frames, answer stream 1): every state that a stream may be in."""
    reset = next(one for one in ALL if (one.label, one.stream) == ("rst_stream", 1))
    begun = next(one for one in ALL if (one.label, one.stream) == ("headers begun", 1))
    yield "idle", (), False
    yield "open", (headers(1, "post", end=False),), False
    yield "open with content-length", (headers(1, "length 5", end=False),), False
    yield "half-closed (remote)", (headers(1, "get"),), False
    yield "closed", (headers(1, "get"),), True
    yield "closed by RST_STREAM", (headers(1, "post", end=False), reset), False
    yield (
        "closed by RST_STREAM, and a later stream",
        (headers(1, "post", end=False), reset, headers(5, "get")),
        False,
    )
    yield "passed over", (headers(3, "get"),), False
    yield "inside a header block", (begun,), False
    yield "inside a second one", (headers(1, "post", end=False), begun), False


@pytest.mark.slow
def test_every_frame_in_every_state_and_every_difference_has_its_reason() -> None:
    used: set[str] = set()
    frames = [one for one in ALL if one.stream in (0, 1, 2)]
    for (_, prelude, answered), sent in itertools.product(_preludes(), frames):
        pair = Pair()
        assert all(pair.send(one) for one in prelude)
        if answered:
            pair.answer(1)
        pair.send(sent)
        used.update(one.reason for one in pair.used)
    assert used == {one.reason for one in DIFFERENCES}


@profile(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(USUAL), st.sampled_from(USUAL), st.sampled_from(ALL), st.integers(0, 3)
        ),
        max_size=16,
    )
)
def test_any_sequence_of_frames_gets_the_same_verdicts(steps: list[Sent | int]) -> None:
    """A number answers one of the requests that are complete."""
    pair = Pair()
    for step in steps:
        if isinstance(step, int):
            if step < len(pair.ours.requests):
                pair.answer(pair.ours.requests[step])
        elif not pair.send(step):
            return
