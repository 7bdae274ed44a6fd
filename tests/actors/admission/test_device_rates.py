"""A phone that loops is stopped, and only that one; memory has a bound."""

from actors.admission.device_rates import DEVICES, WINDOW_SECONDS, DeviceRates


def test_a_device_may_begin_so_often_in_a_minute() -> None:
    rates = DeviceRates(3)
    assert [rates.takes(1, 100.0 + at) for at in range(5)] == [True, True, True, False, False]
    assert rates.takes(2, 104.0)


def test_the_minute_slides() -> None:
    rates = DeviceRates(10)
    for _ in range(10):
        assert rates.takes(1, 1_000.0)
    # Half a window later than the next one begins, half of the ten still count.
    assert rates.takes(2, 1_000.0 + WINDOW_SECONDS)
    later = 1_000.0 + WINDOW_SECONDS * 1.5
    assert sum(rates.takes(1, later) for _ in range(10)) == 5
    assert sum(rates.takes(1, later + 3 * WINDOW_SECONDS) for _ in range(20)) == 10


def test_refused_tries_do_not_count() -> None:
    rates = DeviceRates(1)
    now = 0.0
    begun = 0
    for _ in range(600):
        now += 1.0
        begun += rates.takes(1, now)
    assert begun >= 5


def test_no_limit_counts_nothing() -> None:
    rates = DeviceRates(0)
    assert all(rates.takes(1, 1.0) for _ in range(100))
    assert len(rates) == 0


def test_many_devices_take_bounded_memory_and_are_not_refused() -> None:
    rates = DeviceRates(1)
    assert all(rates.takes(device, 5.0) for device in range(3 * DEVICES))
    assert len(rates) <= 2 * DEVICES
