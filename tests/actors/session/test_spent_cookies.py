"""Cookies of exchanges that are over."""

import pytest

from actors.session import spent_cookies
from actors.session.spent_cookies import SpentCookies


def cookie(number: int) -> str:
    return f"{number:024}" + "rest"


def test_a_spent_cookie_is_known_until_it_has_expired() -> None:
    spent = SpentCookies()
    spent.add(cookie(1), 45.0)
    spent.add(cookie(2), 50.0)
    spent.forget(44.0)
    assert spent.has(cookie(1))
    spent.forget(46.0)
    assert not spent.has(cookie(1))
    assert spent.has(cookie(2))
    assert not spent.has(cookie(3))


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spent_cookies, "BOUND", 10)
    spent = SpentCookies()
    for number in range(30):
        spent.add(cookie(number), 45.0)
    assert len(spent) == 10
    assert spent.has(cookie(29))
    assert not spent.has(cookie(0))
