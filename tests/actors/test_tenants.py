"""Which tenant a request belongs to, and that none gets the subscribers of another (MT-54)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.store.tokens import mint
from actors.tenants import Tenants
from config.checks import check
from config.model import Config, Diameter, Tenant
from protocols.identity import Nai

DIAMETER = Diameter(origin_host="a", origin_realm="b")
SHARED = "aes.mnc001.mcc001.pub.3gppnetwork.org"
MNO = Tenant(id="mno", plmns=("00101",), hosts=(SHARED, "localhost"))
MVNO = Tenant(
    id="mvno",
    plmns=("001/01",),
    hosts=(SHARED, "mvno.example"),
    imsi_ranges=("001019000000001-001019999999999", "001018000000000-001018000000009"),
    gid1=("a1",),
)
OTHER = Tenant(id="other", plmns=("26202", "310410"), hosts=("other.example",))
ANYWHERE = Tenant(id="anywhere", plmns=("99901",))
MNO_IMSI = "001010000000001"
MVNO_IMSI = "001019000000007"


def tenants(*given: Tenant) -> Tenants:
    return Tenants(Config(diameter=DIAMETER, tenants=given))


ALL = tenants(MNO, MVNO, OTHER, ANYWHERE)


def nai(imsi: str, plmn: str = "mnc001.mcc001", prefix: str = "0nai.epc") -> Nai:
    return Nai(f"0{imsi}@nai.epc.{plmn}.3gppnetwork.org")


def identity(tenant: Tenant | None) -> str | None:
    return tenant.id if tenant else None


@pytest.mark.parametrize(
    ("host", "imsi", "gid1", "expected"),
    [
        (SHARED, MNO_IMSI, None, "mno"),
        (SHARED, MVNO_IMSI, None, "mvno"),
        (SHARED, "001018000000009", None, "mvno"),
        (SHARED, "001018000000010", None, "mno"),
        (SHARED, "00101900000000", None, "mno"),  # one digit short: not in that range
        (SHARED, None, None, "mno"),
        (SHARED, None, "A1", "mvno"),
        (SHARED, None, "a1FFff", "mvno"),
        (SHARED, None, "B7", "mno"),
        (SHARED, MNO_IMSI, "A1", "mno"),  # the ranges say more than a GID1 that anybody can send
        (SHARED, MVNO_IMSI, "B7", "mvno"),
        (SHARED, "²" * 15, None, None),
        (SHARED, "9" * 9_000, None, None),
        ("mvno.example", None, None, "mvno"),
        ("mvno.example", MVNO_IMSI, None, "mvno"),
        ("mvno.example", MNO_IMSI, None, None),
        ("mvno.example", None, "B7", None),
        ("localhost", MVNO_IMSI, None, "mno"),  # told apart by host first
        ("", MNO_IMSI, None, "mno"),
        ("", MVNO_IMSI, None, "mvno"),
        ("unknown.example", MVNO_IMSI, None, "mvno"),
        ("", "262020000000001", None, "other"),
        ("", "310410000000001", None, "other"),
        ("", "310411000000001", None, None),
        (SHARED, "262020000000001", None, None),
        ("other.example", MNO_IMSI, None, None),
        ("", "999010000000001", None, "anywhere"),
        (SHARED, "999010000000001", None, "anywhere"),
    ],
)
def test_host_then_plmn_then_range_then_gid1_decide(
    host: str, imsi: str | None, gid1: str | None, expected: str | None
) -> None:
    assert identity(ALL.find(host, None, imsi, gid1)) == expected


@pytest.mark.parametrize(
    ("host", "given", "expected"),
    [
        (SHARED, nai(MNO_IMSI), "mno"),
        (SHARED, nai(MVNO_IMSI), "mvno"),
        (SHARED, nai(MNO_IMSI, "MNC001.MCC001"), "mno"),
        (SHARED, Nai("pseudonym@nai.epc.mnc001.mcc001.3gppnetwork.org"), "mno"),
        (SHARED, Nai("pseudonym@wlan.mnc001.mcc001.3gppnetwork.org"), "mno"),
        (SHARED, Nai("pseudonym"), "mno"),
        (SHARED, Nai("pseudonym@example.org"), "mno"),
        (SHARED, nai(MNO_IMSI, "mnc002.mcc262"), None),
        ("", nai("310410123456789", "mnc410.mcc310"), "other"),
        ("", nai("262020000000001", "mnc002.mcc262"), "other"),
        ("", nai("262020000000001", "mnc001.mcc001"), None),  # IMSI and realm disagree
        ("", Nai(f"0{MNO_IMSI}@mnc1.mcc1.3gppnetwork.org"), None),
    ],
)
def test_the_realm_of_the_eap_identity_names_the_network(
    host: str, given: Nai, expected: str | None
) -> None:
    assert identity(ALL.find(host, given)) == expected


AT_PATHS = tenants(
    Tenant(id="a", plmns=("00101",), hosts=("a.example",), paths=("/a", "/both")),
    Tenant(id="b", plmns=("00101",), hosts=("b.example", "both.example"), paths=("/b", "/both")),
    Tenant(id="c", plmns=("00101",), hosts=("c.example", "both.example"), paths=("/c",)),
    Tenant(id="any", plmns=("00102",), paths=("/any",)),
)


@pytest.mark.parametrize(
    ("host", "path", "imsi", "expected"),
    [
        ("both.example", "/b", MNO_IMSI, "b"),  # the path tells two tenants of one host apart
        ("both.example", "/c", MNO_IMSI, "c"),
        ("both.example", "/c", None, "c"),
        ("both.example", "/", MNO_IMSI, None),  # and nothing else does
        ("both.example", "/both", MNO_IMSI, "b"),
        ("", "/b", MNO_IMSI, "b"),  # no host, or one of nobody
        ("unknown.example", "/b", MNO_IMSI, "b"),
        ("", "/both", MNO_IMSI, None),
        ("a.example", "/a", MNO_IMSI, "a"),
        ("a.example", "/b", MNO_IMSI, None),  # the host is of one, the path of another
        ("c.example", "/both", None, None),
        ("a.example", "/", MNO_IMSI, "a"),  # a path of nobody says nothing
        ("a.example", "/elsewhere", MNO_IMSI, "a"),
        ("a.example", "/any", "001020000000001", "any"),  # who names no host is behind every one
        ("", "/any", None, "any"),
        ("", "/any", MNO_IMSI, None),  # a path makes nobody a subscriber
        ("", "/b", "001020000000001", None),
    ],
)
def test_an_own_path_comes_after_the_host_and_before_the_network(
    host: str, path: str, imsi: str | None, expected: str | None
) -> None:
    """MT-54, Q-TR-13."""
    assert identity(AT_PATHS.find(host, imsi=imsi, path=path)) == expected


def test_a_path_behind_the_host_of_another_tenant_serves_nobody() -> None:
    """MT-54."""
    assert AT_PATHS.serve("a.example", "/a")
    assert AT_PATHS.serve("a.example", "/")
    assert AT_PATHS.serve("", "/b")
    assert not AT_PATHS.serve("a.example", "/b")


def test_the_imsi_of_the_eap_identity_goes_before_the_parameter() -> None:
    assert identity(ALL.find(SHARED, nai(MVNO_IMSI), MNO_IMSI)) == "mvno"


def test_a_token_without_imsi_finds_its_tenant_again() -> None:
    token = mint("mvno", MVNO_IMSI, bytes(32))
    assert identity(ALL.find(SHARED, token=token)) == "mvno"
    assert identity(ALL.find(SHARED, imsi=MNO_IMSI, token=token)) == "mno"
    assert identity(ALL.find("localhost", token=token)) == "mno"
    assert identity(ALL.find(SHARED, token="garbage")) == "mno"


@pytest.mark.parametrize(
    ("imsi", "candidate", "expected"),
    [
        (MNO_IMSI, MNO, "mno"),
        (MVNO_IMSI, MVNO, "mvno"),
        (MVNO_IMSI, MNO, "mvno"),  # came under a pseudonym, turns out to be the other's
        (MNO_IMSI, MVNO, "mno"),  # came with a GID1 that is not its own
        ("262020000000001", MNO, None),
        ("310410000000001", OTHER, "other"),
        (MNO_IMSI, OTHER, None),
        (MNO_IMSI, ANYWHERE, None),
    ],
)
def test_the_authenticated_imsi_decides_in_the_end(
    imsi: str, candidate: Tenant, expected: str | None
) -> None:
    assert identity(ALL.of_imsi(imsi, candidate)) == expected


def test_the_same_subscriber_at_two_tenants_is_told_apart_by_the_host() -> None:
    one = Tenant(id="one", plmns=("00101",), hosts=("one.example",))
    two = Tenant(
        id="two",
        plmns=("00101",),
        hosts=("two.example",),
        imsi_ranges=("001010000000000-001010000000009",),
    )
    both = tenants(one, two)
    for host, expected in (("one.example", one), ("two.example", two)):
        found = both.find(host, nai(MNO_IMSI))
        assert found is expected
        assert both.of_imsi(MNO_IMSI, expected) is expected


def test_the_same_subscriber_at_two_tenants_is_told_apart_by_the_realm() -> None:
    one = Tenant(id="one", plmns=("00101",))
    two = Tenant(id="two", plmns=("00102",))
    both = tenants(one, two)
    assert both.find("", Nai("pseudonym@nai.epc.mnc001.mcc001.3gppnetwork.org")) is one
    assert both.find("", Nai("pseudonym@nai.epc.mnc002.mcc001.3gppnetwork.org")) is two
    assert both.find("", Nai("pseudonym")) is None


def test_two_that_fit_equally_well_are_none() -> None:
    one = Tenant(id="one", plmns=("00101",), hosts=("a",), gid1=("A1",))
    two = Tenant(id="two", plmns=("00101",), hosts=("b",), gid1=("A1",))
    both = tenants(one, two)
    assert both.find("", nai(MNO_IMSI)) is None
    assert both.find("", nai(MNO_IMSI), gid1="A1") is None
    assert both.find("a", nai(MNO_IMSI), gid1="A1") is one


def test_overlapping_ranges_on_different_hosts_belong_to_nobody_without_a_host() -> None:
    one = Tenant(id="one", hosts=("a",), imsi_ranges=("001010000000001-001010000000009",))
    two = Tenant(id="two", hosts=("b",), imsi_ranges=("001010000000005-001010000000020",))
    both = tenants(one, two)
    found = {n: identity(both.find("", imsi=f"0010100000000{n:02}")) for n in (0, 1, 4, 5, 9, 10)}
    assert found == {0: None, 1: "one", 4: "one", 5: None, 9: None, 10: "two"}
    assert both.find("a", imsi="001010000000005") is one


def test_a_tenant_is_found_by_its_id() -> None:
    assert ALL.by_id("mvno") is MVNO
    assert ALL.by_id("nobody") is None
    assert list(ALL) == [MNO, MVNO, OTHER, ANYWHERE]


HOSTS = ("a.example", "b.example", "")
PLMNS = ("00101", "00102", "310410")
PATHS = ("/a", "/b", "/")


def ranges_of(plmns: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    if not plmns:
        return st.just(())
    numbers = st.tuples(st.sampled_from(plmns), st.integers(0, 9), st.integers(0, 9))
    return st.lists(
        numbers.map(
            lambda n: f"{n[0]}{min(n[1:]):0{15 - len(n[0])}}-{n[0]}{max(n[1:]):0{15 - len(n[0])}}"
        ),
        max_size=2,
    ).map(tuple)


@st.composite
def tenant(draw: st.DrawFn, name: str) -> Tenant:
    plmns = tuple(draw(st.lists(st.sampled_from(PLMNS), max_size=2, unique=True)))
    return Tenant(
        id=name,
        plmns=plmns,
        hosts=tuple(draw(st.lists(st.sampled_from(HOSTS[:2]), max_size=2, unique=True))),
        imsi_ranges=draw(ranges_of(plmns)),
        gid1=tuple(draw(st.lists(st.sampled_from(("A1", "B2")), max_size=1))),
        paths=tuple(draw(st.lists(st.sampled_from(PATHS[:2]), max_size=1))),
    )


def owns(tenant: Tenant, imsi: str) -> bool:
    """Written without the code under test."""
    inside = [
        low <= imsi <= high for low, _, high in (r.partition("-") for r in tenant.imsi_ranges)
    ]
    return any(map(imsi.startswith, tenant.plmns or ("",))) and (not inside or any(inside))


@pytest.mark.slow
@given(st.data())
def test_no_request_reaches_a_tenant_that_excludes_its_imsi(data: st.DataObject) -> None:
    some = [data.draw(tenant(name)) for name in ("one", "two", "three")]
    every = tenants(*some)
    plmn = data.draw(st.sampled_from((*PLMNS, "99999")))
    imsi = f"{plmn}{data.draw(st.integers(0, 10)):0{15 - len(plmn)}}"
    host = data.draw(st.sampled_from(HOSTS))
    token = data.draw(st.sampled_from((None, *(mint(one.id, imsi, bytes(32)) for one in some))))
    gid1, path = (data.draw(st.sampled_from(values)) for values in ((None, "A1", "B2"), PATHS))
    found = every.find(host, None, imsi, gid1, token, path)
    if found is not None:
        assert owns(found, imsi)
        assert path in found.paths or not any(path in one.paths for one in some)
        claimed = {name for one in some for name in one.hosts}
        assert host not in claimed or not found.hosts or host in found.hosts
    for candidate in some:
        owner = every.of_imsi(imsi, candidate)
        if owner is not None:
            assert owns(owner, imsi)
            # Never from one operator's hosts to another's.
            assert (
                owner is candidate
                or set(owner.hosts) & set(candidate.hosts)
                or not (owner.hosts or candidate.hosts)
            )


@pytest.mark.slow
@given(st.data())
def test_what_the_configuration_check_lets_pass_has_one_owner_for_each_imsi(
    data: st.DataObject,
) -> None:
    some = tuple(data.draw(tenant(name)) for name in ("one", "two"))
    if list(check(Config(diameter=DIAMETER, tenants=some), None)):
        return
    every = tenants(*some)
    for host, number in itertools.product(HOSTS[:2], range(10)):
        imsi = f"00101{number:010}"
        holders = [one for one in some if host in one.hosts and one.imsi_ranges and owns(one, imsi)]
        if holders:
            assert every.find(host, None, imsi) is holders[0]
