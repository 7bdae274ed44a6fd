"""A failing store is told to operators, in the log and as a node that is not ready."""

from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from actors.store.store import Store, StoreUnavailable
from node.store_watch import FAILING_SECONDS, PASSING, WatchedStore


class OneAnswer:
    """A store that answers everything with one value."""

    ready = True

    def __init__(self) -> None:
        self.value: Any = None

    def find_token(self, _tenant: str, _token_hash: bytes, reply: Any) -> None:  # noqa: ANN401
        reply(self.value)

    find_subscriber = find_token


class Watch:
    """A watched store, its clock, and what callers were told."""

    def __init__(self) -> None:
        self.inner = OneAnswer()
        self.now = 0.0
        self.store = WatchedStore(cast("Store", self.inner), lambda: self.now)
        self.told: list[object] = []

    def find_token(self, value: object = None) -> None:
        self.inner.value = value
        self.store.find_token("mno", b"", self.told.append)


@pytest.mark.parametrize("reason", ["other", "corrupt", "full-disk", "read-only", "input-output"])
def test_a_store_that_fails_is_not_ready_until_it_succeeds(reason: str) -> None:
    watch = Watch()
    failure = StoreUnavailable(reason, f"{reason}: the text of SQLite")
    with capture_logs() as lines:
        watch.find_token(failure)
    assert watch.told == [failure]
    assert watch.store.problem() == f"find token fails: {reason}"
    assert lines == [
        {
            "event": "store fails",
            "log_level": "error",
            "operation": "find token",
            "reason": reason,
            "text": f"{reason}: the text of SQLite",
        }
    ]
    watch.store.find_subscriber("mno", "001010000000001", watch.told.append)
    watch.inner.value = None
    watch.store.find_subscriber("mno", "001010000000001", watch.told.append)
    assert watch.store.problem() == f"find token fails: {reason}"  # another one proves nothing
    watch.find_token()
    assert watch.store.problem() == ""


def test_without_requests_others_are_let_try_after_a_while() -> None:
    watch = Watch()
    watch.find_token(StoreUnavailable("full-disk"))
    watch.now = FAILING_SECONDS - 1
    assert watch.store.problem()
    watch.now = FAILING_SECONDS
    assert watch.store.problem() == ""


@pytest.mark.parametrize("reason", sorted(PASSING))
def test_what_passes_is_logged_but_sends_no_device_away(reason: str) -> None:
    watch = Watch()
    with capture_logs() as lines:
        watch.find_token(StoreUnavailable(reason))
    assert watch.store.problem() == ""
    assert [(line["log_level"], line["reason"]) for line in lines] == [("warning", reason)]


def test_a_store_that_is_not_open_is_not_ready() -> None:
    watch = Watch()
    watch.inner.ready = False
    assert watch.store.problem() == "the database is not open"
