"""A failing store is told to operators, in the log and as a node that is not ready."""

from typing import cast

import pytest
from structlog.testing import capture_logs

from actors.store.answers import Answers
from actors.store.store import Store, StoreUnavailable
from node.store_watch import ALARMS, FAILING_SECONDS, PASSING, StoreWatch


class Open:
    """A store that is open, or not."""

    ready = True


class Watch:
    """A watch, its clock, and the answers that the store gives."""

    def __init__(self) -> None:
        self.now = 0.0
        self.open = Open()
        self.watch = StoreWatch(lambda: self.now)
        self.answers = Answers(self.watch.failed, self.watch.succeeded)
        self.told: list[object] = []

    def give(self, answer: object = None, operation: str = "find token") -> None:
        self.answers.give(operation, self.told.append, answer)

    def problem(self) -> str:
        return self.watch.problem(cast("Store", self.open))


@pytest.mark.parametrize("reason", ["other", "corrupt", "full-disk", "read-only", "input-output"])
def test_a_store_that_fails_is_not_ready_until_it_succeeds(reason: str) -> None:
    watch = Watch()
    failure = StoreUnavailable(reason, f"{reason}: the text of SQLite")
    with capture_logs() as lines:
        watch.give(failure)
    assert watch.told == [failure]
    assert watch.problem() == f"find token fails: {reason}"
    assert lines == [
        {
            "event": "store fails",
            "log_level": "error",
            "operation": "find token",
            "reason": reason,
            "text": f"{reason}: the text of SQLite",
        }
    ]
    watch.give(None, "find subscriber")
    assert watch.problem() == f"find token fails: {reason}"  # another one proves nothing
    watch.give()
    assert watch.problem() == ""


def test_without_requests_others_are_let_try_after_a_while() -> None:
    watch = Watch()
    watch.give(StoreUnavailable("full-disk"))
    watch.now = FAILING_SECONDS - 1
    assert watch.problem()
    watch.now = FAILING_SECONDS
    assert watch.problem() == ""


@pytest.mark.parametrize("reason", sorted(PASSING))
def test_what_passes_is_logged_but_sends_no_device_away(reason: str) -> None:
    watch = Watch()
    with capture_logs() as lines:
        watch.give(StoreUnavailable(reason))
    assert watch.problem() == ""
    level = "error" if reason in ALARMS else "warning"
    assert [(line["log_level"], line["reason"]) for line in lines] == [(level, reason)]


def test_what_works_all_the_time_is_not_told() -> None:
    watch = Watch()
    with capture_logs() as lines:
        watch.give()
        watch.give(StoreUnavailable("bad-row"))
        watch.give()
        watch.give()
    assert [line["event"] for line in lines] == ["store fails", "store works again"]


def test_a_store_that_is_not_open_is_not_ready() -> None:
    watch = Watch()
    watch.open.ready = False
    assert watch.problem() == "the database is not open"
