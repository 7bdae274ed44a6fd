"""Admission as a whole: who may begin what, why not, and when to come back."""

import msgspec
import pytest

from actors.admission.aaa_room import AaaSample
from actors.admission.admission import SHARED_ADDRESS, Admission
from config.model import Config, Diameter, Overload, Tenant
from protocols.http.message import HttpRequest
from protocols.ts43.request import Ts43Request, parse_request

MNO = Tenant(id="mno", hosts=("mno.example", "both.example"))
MVNO = Tenant(id="mvno", hosts=("mvno.example", "both.example"))
ADDRESS = "192.0.2.1"
WELL = AaaSample(True, 0, 0)


def config(**overload: object) -> Config:
    return Config(
        diameter=Diameter(origin_host="ecs1.example", origin_realm="example"),
        tenants=(MNO, MVNO),
        overload=msgspec.structs.replace(Overload(), **overload),
    )


def asking(app: str = "ap2003", number: int = 1) -> Ts43Request:
    nai = f"0{number:015}%40nai.epc.mnc001.mcc001.3gppnetwork.org"
    target = (
        f"/?EAP_ID={nai}&terminal_id=356000000000010&app={app}&terminal_vendor=v"
        "&terminal_model=m&terminal_sw_version=1&vers=0&entitlement_version=2.0"
    ).encode()
    headers = ((b"accept", b"application/vnd.gsma.eap-relay.v1.0+json"),)
    parsed = parse_request(HttpRequest(b"GET", target, b"mno.example", headers, b""))
    assert isinstance(parsed, Ts43Request)
    return parsed


class Bench:
    """An admission, a clock, and an AAA that is what a test says."""

    def __init__(self, *, jitter: float = 0.5, **overload: object) -> None:
        self.now = 100.0
        self.aaa = WELL
        self.under_way: dict[str, int] = {}
        settings = config(**overload)
        self.admission = Admission(
            settings.overload,
            sample_aaa=lambda: self.aaa,
            under_way=lambda address: self.under_way.get(address, 0),
            jitter=lambda: jitter,
        )
        self.admission.reload(settings)
        self.devices = 0

    def authentication(self, tenant: Tenant = MNO, app: str = "ap2003") -> str:
        """Of another device each time."""
        self.devices += 1
        return self.admission.authentication(tenant, asking(app, self.devices), ADDRESS, self.now)

    def congest(self, tenant: Tenant = MNO) -> None:
        """Until new work is limited: rounds that never find the sockets empty."""
        for _ in range(120):
            self.now += 0.005
            self.admission.round(self.now)
            for _ in range(5):
                self.admission.connection(ADDRESS, "", self.now)
                self.authentication(tenant)
        assert self.admission.limiting
        self.admission.drained()
        self.now += 1.0
        self.admission.round(self.now)

    def strangers(self, host: str = "", most: int = 1_000) -> int:
        """How many connections come in at this moment."""
        for count in range(most):
            if not self.admission.connection(ADDRESS, host, self.now):
                return count
        return most


def test_in_normal_times_everything_begins() -> None:
    bench = Bench()
    for _ in range(100):
        assert bench.admission.connection(ADDRESS, "", bench.now)
        assert bench.authentication() == ""
        assert bench.admission.token(MNO, bench.now) == ""
    assert bench.admission.statistics().level_max == 0.0


def test_new_authentications_are_shed_before_token_checks() -> None:
    bench = Bench()
    bench.congest()
    bench.strangers()
    assert bench.authentication() == "overload"
    assert bench.admission.token(MNO, bench.now) == ""


def test_vowifi_is_shed_after_other_authentications() -> None:
    bench = Bench()
    bench.congest()
    while not bench.authentication():
        pass
    assert bench.authentication(app="ap2004") == ""


def test_the_address_of_an_exchange_under_way_is_let_in() -> None:
    """Its phone may have lost its connection between the challenge and the answer."""
    bench = Bench()
    bench.congest()
    assert bench.strangers() < 1_000
    bench.under_way[ADDRESS] = 1
    assert bench.strangers() == 1_000


def test_the_address_of_a_whole_network_is_no_recommendation() -> None:
    bench = Bench()
    bench.congest()
    bench.under_way[ADDRESS] = SHARED_ADDRESS + 1
    assert bench.strangers() < 1_000


def test_connections_for_a_tenant_over_its_share_are_closed_first() -> None:
    bench = Bench()
    assert not bench.admission.wants_host
    bench.congest(MNO)
    assert bench.admission.statistics().greedy_now == 0  # the only one that wants something
    for _ in range(3):
        bench.authentication(MVNO)
    bench.congest(MNO)
    assert bench.admission.wants_host
    assert bench.admission.statistics().greedy_now == 1
    bench.strangers("mno.example")
    assert bench.strangers("mno.example") == 0
    assert bench.strangers("mvno.example") > 0


def test_a_tenant_that_asks_seldom_is_not_kept_out_by_a_burst() -> None:
    """Greed shows only beside others; the first device of a quiet tenant comes in all the same."""
    bench = Bench()
    bench.congest(MNO)
    bench.strangers("mno.example")
    assert bench.strangers("mno.example") == 0
    assert bench.admission.connection(ADDRESS, "mvno.example", bench.now)
    assert bench.authentication(MVNO) == ""
    # A burst of its own is one like the other: the pace holds for both together.
    assert bench.strangers("mvno.example") < 30


def test_a_host_of_several_tenants_says_nothing() -> None:
    bench = Bench()
    for _ in range(3):
        bench.authentication(MVNO)
    bench.congest(MNO)
    bench.strangers("mno.example")
    assert bench.strangers("both.example") > 0


def test_a_looping_phone_is_stopped_alone() -> None:
    bench = Bench(authentications_per_device=3)
    admission, now = bench.admission, bench.now
    tries = [admission.authentication(MNO, asking(number=7), ADDRESS, now) for _ in range(5)]
    assert tries == ["", "", "", "device rate", "device rate"]
    assert admission.authentication(MNO, asking(number=8), ADDRESS, now) == ""
    # Somebody else cannot lock a subscriber out by its name.
    assert admission.authentication(MNO, asking(number=7), "192.0.2.2", now) == ""


def test_during_an_outage_devices_wait_the_longer_the_longer_it_lasts() -> None:
    bench = Bench(jitter=0.999)
    bench.aaa = AaaSample(False, 0, 0)
    waits = []
    for _ in range(4):
        while not bench.authentication():
            pass
        waits.append(bench.admission.retry_after())
        bench.now += 20.0
    assert waits[0] == pytest.approx(60, abs=1)
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(300, abs=1)


def test_an_outage_does_not_touch_a_tenant_with_another_method() -> None:
    """It answers 511 to devices without a token (TS.43 §2.10), which the session does."""
    authentication = msgspec.structs.replace(MNO.authentication, alternative=True)
    other = msgspec.structs.replace(MNO, authentication=authentication)
    bench = Bench()
    bench.aaa = AaaSample(False, 0, 0)
    assert {bench.authentication(other) for _ in range(50)} == {""}


def test_a_full_aaa_takes_no_token_check_away() -> None:
    bench = Bench(aaa_least_in_flight=10)
    bench.aaa = AaaSample(True, 10, 0)
    assert bench.authentication() == "aaa busy"
    assert bench.admission.token(MNO, bench.now) == ""


@pytest.mark.parametrize("jitter", [0.0, 0.25, 0.999])
def test_the_time_to_come_back_lies_between_the_configured_ones(jitter: float) -> None:
    bench = Bench(jitter=jitter)
    bench.congest()
    while not bench.authentication():
        pass
    assert 30 <= bench.admission.retry_after() <= 300


def test_switched_off_nothing_is_refused() -> None:
    bench = Bench(enabled=False)
    bench.congest()
    bench.aaa = AaaSample(False, 1_000_000, 0)
    assert bench.strangers() == 1_000
    assert {bench.authentication() for _ in range(300)} == {""}
    assert {bench.admission.token(MNO, bench.now) for _ in range(300)} == {""}


def test_a_reload_counts_from_the_next_request() -> None:
    bench = Bench()
    bench.admission.reload(config(authentications_per_device=1, retry_after_least=77))
    bench.admission.authentication(MNO, asking(), ADDRESS, bench.now)
    assert bench.admission.authentication(MNO, asking(), ADDRESS, bench.now) == "device rate"
    assert bench.admission.retry_after() >= 77


def test_statistics_tell_the_level() -> None:
    bench = Bench()
    bench.congest()
    bench.strangers()
    for _ in range(20):
        bench.now += 0.01
        bench.admission.drained()
        bench.admission.round(bench.now)
        while bench.admission.connection(ADDRESS, "", bench.now):
            pass
    found = bench.admission.statistics()
    assert found.limiting
    assert 0.0 < found.level_max <= 1.0
    assert found.rate_now > 0
    assert found.turned_away > 0
    assert found.onsets == 1
