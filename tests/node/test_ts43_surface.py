"""From HTTP request to session: what is refused at the door, and where the rest goes."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from actors.tenants import Tenants
from config.model import Authentication, Config, Diameter, Tenant, Versions
from node.device.ts43_surface import Ts43Surface
from protocols.http.message import HttpRequest, HttpResponse
from tests.actors.session.session_bench import IMEI, NAI, FakeExchange
from tests.actors.session.test_sessions import Office, office

CONFIG = Config(
    diameter=Diameter(origin_host="ecs1.x", origin_realm="x"),
    tenants=(
        Tenant(id="mno", plmns=("00101",), hosts=("localhost",), paths=("/des/ts43",)),
        Tenant(id="old", plmns=("00102",), hosts=("old",), versions=Versions(lenient=True)),
    ),
)
QUERY = f"EAP_ID={NAI}&terminal_id={IMEI}&app=ap2004&entitlement_version=2.0"


class Door:
    """A surface in front of an office."""

    def __init__(self, one: Office) -> None:
        self.office = one
        self.surface = Ts43Surface(one.sessions, one.counters, Tenants(CONFIG), ("/",))

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes = b"",
        headers: list[tuple[bytes, bytes]] | None = None,
        server_name: str = "localhost",
    ) -> HttpResponse | None:
        exchange = FakeExchange()
        exchange.server_name = server_name
        request = HttpRequest(method.encode(), target.encode(), b"localhost", headers or [], body)
        self.surface.handle(request, exchange)
        self.office.turn.end()
        return exchange.answers[0] if exchange.answers else None

    def bad_inputs(self) -> int:
        return next(one for one in self.office.counters.all() if one.name == "bad_inputs").total()


@pytest.fixture
async def door(tmp_path: Path) -> Iterator[Door]:
    async with office(tmp_path / "node.db") as one:
        yield Door(one)


RELAY = b"application/vnd.gsma.eap-relay.v1.0+json"


@pytest.mark.parametrize(
    ("target", "method", "body", "status"),
    [
        ("/?" + QUERY, "PUT", b"", 405),  # T-10d
        ("/favicon.ico", "GET", b"", 404),
        ("/?" + QUERY.replace("entitlement_version=2.0", ""), "GET", b"", 400),  # T-10a
        ("/?" + QUERY.replace("terminal_id", "x"), "GET", b"", 400),
        ("/?" + QUERY.replace("app=", "x="), "GET", b"", 400),
        ("/?" + QUERY.replace("2.0", "99.0"), "GET", b"", 406),  # T-10b
        ("/?" + QUERY.replace("ap2004", "ap9999"), "GET", b"", 400),  # T-10c
        ("/?" + QUERY.replace("ap2004", "ap2014") + "&operation=getphonenumber", "GET", b"", 405),
        ("/", "POST", b"{not json", 400),  # EAP-21
        ("/", "POST", b'{"eap-relay-packet":"!!!"}', 400),
        ("/", "POST", b'["app"]', 400),
        ("/", "POST", b"", 400),
    ],
)
async def test_what_can_never_succeed_is_refused_and_counted(
    door: Door, target: str, method: str, body: bytes, status: int
) -> None:
    before = door.bad_inputs()
    response = door.ask(target, method, body, [(b"content-type", RELAY)])
    assert response is not None
    assert response.status == status
    assert response.body  # HTTP/2 has no reason phrase
    assert door.bad_inputs() == before + 1
    assert door.office.aaa.asked == []
    assert door.office.sessions.pool.statistics().alive == 0


async def test_an_identity_goes_to_the_aaa_on_every_path_of_the_protocol(door: Door) -> None:
    assert door.ask("/?" + QUERY) is None
    assert door.ask("/des/ts43?" + QUERY) is None
    assert len(door.office.aaa.asked) == 2


async def test_the_path_of_one_tenant_behind_the_host_of_another_is_404(door: Door) -> None:
    """MT-54: before anybody is asked who it is."""
    response = door.ask("/des/ts43?" + QUERY, server_name="old")
    assert response is not None
    assert response.status == 404
    assert door.office.aaa.asked == []


async def test_an_own_path_tells_the_tenants_of_one_host_apart(door: Door) -> None:
    """MT-54, Q-TR-13."""
    both = tuple(
        Tenant(
            id=name,
            plmns=("00101",),
            hosts=("localhost",),
            paths=(f"/{name}",),
            authentication=Authentication(destination_realm=f"{name}.example"),
        )
        for name in ("one", "two")
    )
    door.surface.reload(Tenants(msgspec.structs.replace(CONFIG, tenants=both)), ("/",))
    for path in ("/one", "/two"):
        assert door.ask(f"{path}?{QUERY}") is None
    realms = [der.destination_realm for der in door.office.aaa.asked]
    assert realms == [b"one.example", b"two.example"]
    between = door.ask(f"/?{QUERY}")
    assert between is not None
    assert between.status == 403


async def test_a_request_without_authentication_is_asked_for_it(door: Door) -> None:
    """AUTH-31, without a provider."""
    response = door.ask("/?" + QUERY.replace("EAP_ID", "x"))
    assert response is not None
    assert response.status == 511


async def test_a_void_token_is_511_and_with_an_identity_the_aaa_decides(door: Door) -> None:
    """TOK-27."""
    without = door.ask("/?token=nonsense&" + QUERY.replace("EAP_ID", "x"))
    assert without is not None
    assert without.status == 511
    assert door.ask("/?token=nonsense&" + QUERY) is None
    assert len(door.office.aaa.asked) == 1


async def test_a_token_of_a_subscriber_of_nobody_here_is_511(door: Door) -> None:
    """TOK-27: another tenant's token, with the IMSI beside it as real clients send it."""
    query = "/?token=t&IMSI=262010000000001&" + QUERY.replace("EAP_ID", "x")
    response = door.ask(query)
    assert response is not None
    assert response.status == 511


async def test_a_refused_token_is_seen_in_the_trace(door: Door) -> None:
    trace = door.office.recorder.arm("001010000000001", 60, 10)
    door.ask("/?token=t&IMSI=001010000000001&" + QUERY.replace("EAP_ID", "x"))
    trace.close()
    events = [event async for event in trace]
    assert [event.direction for event in events] == ["in", "out"]
    assert isinstance(events[1].payload, HttpResponse)
    assert events[1].payload.status == 511


async def test_a_lenient_tenant_takes_a_missing_version(door: Door) -> None:
    nai = NAI.replace("mnc001", "mnc002").replace("00101000", "00102000")
    query = f"EAP_ID={nai}&terminal_id={IMEI}&app=ap2004"
    assert door.ask("/?" + query, server_name="old") is None


async def test_a_subscriber_of_nobody_here_is_refused(door: Door) -> None:
    """MT-54."""
    foreign = NAI.replace("mnc001.mcc001", "mnc001.mcc262").replace("00101000", "26201000")
    response = door.ask(f"/?EAP_ID={foreign}&" + QUERY.partition("&")[2])
    assert response is not None
    assert response.status == 403
    assert door.office.aaa.asked == []
