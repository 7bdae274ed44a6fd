"""Loading a configuration file: every mistake at once, with its path; secrets; files."""

import base64
from pathlib import Path

import pytest

from config.load import ConfigError, load
from config.model import Sessions

CONFIG = Path(__file__).parents[2] / "config"

GOOD = """
[diameter]
origin-host = "ecs1.example.org"
origin-realm = "example.org"

[[tenants]]
id = "mno"
plmns = ["00101"]
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(text)
    return path


def problems(tmp_path: Path, text: str, *, here: bool = True) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), here=here)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    return caught.value.problems


def test_every_worker_needs_a_label_that_dns_can_hold(tmp_path: Path) -> None:
    text = GOOD.replace("ecs1.", f"{'e' * 60}.")
    assert problems(tmp_path, text) == (
        "node.worker-suffix: makes the first label of diameter.origin-host too long",
    )
    assert load(write(tmp_path, text + "[node]\nworkers = 1\n")).node.workers == 1


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    config = load(write(tmp_path, GOOD))
    assert config.diameter.origin_host == "ecs1.example.org"
    assert config.tenants[0].plmns == ("00101",)
    assert config.sessions == Sessions()


def test_the_lab_has_an_operator_and_a_virtual_operator() -> None:
    config = load(CONFIG / "lab.toml")
    assert [tenant.id for tenant in config.tenants] == ["mno", "mvno"]
    assert config.diameter.peers[0].host == "aaa1.epc.mnc001.mcc001.3gppnetwork.org"


def test_every_mistake_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    text = """
    [diameter]
    origin_host = "ecs1.example.org"
    origin-realm = "not a realm"
    watchdog-seconds = 5
    answer-seconds = "two"

    [[diameter.peers]]
    port = 70_000

    [device]
    listen = ["nowhere", "127.0.0.1:99999"]
    max-streams = true

    [sessions]
    answer-seconds = 31
    challenge-seconds = 20.0

    [[tenants]]
    id = "mno"

    [[tenants]]
    id = "mno"
    plmns = ["001/01"]
    imsi-ranges = ["001020000000001-001020000000009"]

    [[tenants]]
    id = "MVNO"
    plmns = ["1", "00101"]
    gid1 = ["F"]
    versions = 7
    [tenants.authentication]
    application = "s6a"
    """
    assert problems(tmp_path, text) == (
        "diameter.origin_host: no such key, did you mean origin-host?",
        "diameter.origin-host: is missing",
        "diameter.origin-realm: a host name is letters, digits, - and .",
        "diameter.peers[0].host: is missing",
        "diameter.peers[0].port: must be from 1 to 65535",
        "diameter.watchdog-seconds: must be from 6 to 3600",
        "diameter.answer-seconds: a number is expected",
        "tenants[2].id: must be 1 to 32 lower-case letters, digits and -",
        "tenants[2].plmns[0]: a PLMN is five or six digits",
        "tenants[2].gid1[0]: a GID1 is whole octets in hexadecimal, such as A1",
        "tenants[2].authentication.application: must be one of swm, swa",
        "tenants[2].versions: a table of keys and values is expected",
        'device.listen[0]: an address is "host:port" or "[IPv6]:port"',
        "device.listen[1]: a port is from 0 to 65535",
        "device.max-streams: a whole number is expected",
        "sessions.answer-seconds: must be less than 30, for a phone waits that long",
        "sessions.challenge-seconds: must be more than 30, for a phone waits that long",
        "tenants[1].id: mno is also the id of tenants[0]",
        "tenants[1].imsi-ranges[0]: is outside the tenant's plmns",
    )


@pytest.mark.parametrize(
    ("addition", "problem"),
    [
        ("[diameter]\n", "is not TOML"),
        ("[sessions]\nanswer-seconds = 6\n", "diameter.exchange-seconds: must be less than"),
        ("[store]\npostgres = '/run/postgresql'\n", "store.postgres: a connection string is like"),
        ("[store]\npostgres-owner = 'host=a'\n", "store.postgres-owner: is of no use without"),
        ("[store]\nanswer-seconds = 12\n", "store.answer-seconds: must be less than sessions"),
        ("[store]\nstatement-seconds = 5\n", "store.statement-seconds: must be less than store"),
        ("[management]\nlisten = '127.0.0.1:8443'\n", "management.listen: 127.0.0.1:8443 is taken"),
        ("[device]\nlisten = []\n", "device.listen: at least one address"),
        ("[device]\nlisten = 'a:1'\n", "device.listen: a list is expected"),
        ("[node]\ncookie-keys = ['AAAA']\n", "node.cookie-keys[0]: a cookie key is 32 octets"),
        ("[node]\nname = 'a;b'\n", "node.name: must be 1 to 32"),
        ("[node]\nworkers = 256\n", "node.workers: must be from 0 to 255"),
        ("[node]\nworker-suffix = '-w'\n", "node.worker-suffix: is letters, digits and -"),
        ("[node]\nworker-suffix = '{}-'\n", "node.worker-suffix: a label of a host name does"),
        ("[node]\nworker-suffix = '.{}'\n", "node.worker-suffix: is letters, digits and -"),
        (
            "[overload]\nretry-after-least = 40\nretry-after-most = 30\n",
            "overload.retry-after-least: must not be more than overload.retry-after-most",
        ),
        ("[overload]\ntenant-weights = {x = 2}\n", "overload.tenant-weights.x: there is no such"),
        ("[overload]\ntenant-weights = {mno = 0}\n", "weights: mno: a weight is more than zero"),
        ("[overload]\ndelay-seconds = 2\n", "overload.delay-seconds: must be from 0.005 to 1"),
        ("[logging]\nlevel = 'loud'\n", "logging.level: must be one of debug"),
        ("[sesions]\n", "sesions: no such key, did you mean sessions?"),
        ("[[device.certificates]]\nchain = 'no.pem'\nkey = 'node.toml'\n", "there is no file"),
        ("[tenants.messages]\na = {en = ' '}\n", "tenants[0].messages: a.en: the text is empty"),
        ("[tenants.messages]\na = {'!' = 'x'}\n", 'tenants[0].messages: a: "!" is not a language'),
        ("[tenants.messages]\na = 'x'\n", "tenants[0].messages.a: a table of keys"),
        ("[tenants.versions]\nfirst = 9\nlast = 8\n", "tenants[0].versions.first: must not be"),
        ("[tenants.vowifi]\nservice-flow-url = 'http://x'\n", "must be an https:// URL"),
        ("[tenants.data-boost]\nservice-flow-url = 'x'\n", "must be an https:// URL"),
        (
            "[tenants.data-boost]\nservice-flow-contents-type = 'form'\n",
            "tenants[0].data-boost.service-flow-contents-type: must be one of json, xml",
        ),
        (
            "[[tenants]]\nid = 'b'\nplmns = ['00102']\nweb-sheet-seconds = 5\n",
            "tenants[1].web-sheet-seconds: must be from 60",
        ),
        ("[[tenants]]\nid = 'b'\nplmns = ['00101']\n", "tenants[1]: nothing tells it from"),
        (
            "[[tenants]]\nid = 'b'\nplmns = ['00102']\npaths = ['/b', '/']\n",
            "tenants[1].paths[1]: / is one of device.paths",
        ),
    ],
)
def test_a_mistake_is_told_with_its_path(tmp_path: Path, addition: str, problem: str) -> None:
    (told,) = problems(tmp_path, GOOD + addition)
    assert problem in told


def test_paths_of_their_own_tell_two_tenants_apart(tmp_path: Path) -> None:
    one, other = (
        f"[[tenants]]\nid = '{name}'\nplmns = ['00103']\npaths = ['/{name}']\n" for name in "bc"
    )
    assert len(load(write(tmp_path, GOOD + one + other)).tenants) == 3
    (told,) = problems(tmp_path, GOOD + one + other.replace("/c", "/b"))
    assert "tenants[2]: nothing tells it from tenants[1]" in told


def test_a_wrong_value_hides_no_clash_of_the_good_ones(tmp_path: Path) -> None:
    """Each section has a mistake of its own, and is compared with the others all the same."""
    text = """
    [diameter]
    origin-host = "ecs1.example.org"
    origin-realm = "not a realm"
    exchange-seconds = 13
    watchdog-seconds = 5

    [[diameter.peers]]
    host = "aaa1.example.org"
    port = 0

    [[diameter.peers]]
    host = "AAA1.example.org"
    priority = "first"
    tls-ca = "no.pem"

    [[diameter.peers]]
    host = "ECS1.example.org"
    tls-key = 3

    [device]
    listen = ["nowhere", "127.0.0.1:8081"]
    max-streams = true
    [[device.certificates]]
    chain = "gone.pem"
    key = ""

    [sessions]
    capacity = "many"
    challenge-seconds = 20

    [[tenants]]
    id = "mno"
    default-language = "?"
    imsi-ranges = ["7", "001010000000001-001010000000009"]
    gid1 = ["F", "A1"]
    [tenants.versions]
    first = 9
    last = 8
    barred = 7

    [[tenants]]
    id = "mno"
    plmns = ["00101", "1"]
    imsi-ranges = ["001010000000009-001010000000010"]
    gid1 = ["a1ff"]
    prefer-json = "no"

    [[tenants]]
    id = "third"
    plmn = ["00101"]
    """
    told = problems(tmp_path, text)
    clashes = list(told[-11:])  # after the mistakes of single values
    assert clashes == [
        "sessions.challenge-seconds: must be more than 30, for a phone waits that long",
        "diameter.exchange-seconds: must be less than sessions.answer-seconds",
        "diameter.peers[1].host: is the same as diameter.peers[0].host",
        "diameter.peers[2].host: is the node's own diameter.origin-host",
        "management.listen: 127.0.0.1:8081 is taken by device.listen[1]",
        "tenants[0].versions.first: must not be more than last",
        "tenants[1].id: mno is also the id of tenants[0]",
        "tenants[1].imsi-ranges[0]: overlaps 001010000000001-001010000000009 of tenants[0]",
        "tenants[1].gid1[0]: a1ff is also a gid1 of tenants[0]",
        f"device.certificates[0].chain: there is no file {tmp_path / 'gone.pem'}",
        f"diameter.peers[1].tls-ca: there is no file {tmp_path / 'no.pem'}",
    ]


def test_a_reference_is_compared_with_nothing_in_a_file_for_another_machine(tmp_path: Path) -> None:
    text = GOOD + "imsi-ranges = ['env:RANGE']\ngid1 = ['env:GROUP']\n"
    text += "[[tenants]]\nid = 'b'\nplmns = ['00101']\nimsi-ranges = ['env:OTHER']\n"
    assert len(load(write(tmp_path, text), here=False).tenants) == 2


@pytest.mark.parametrize(
    ("peer", "problem"),
    [
        ("host = 'ECS1.example.org'", "diameter.peers[1].host: is the node's own"),
        ("host = 'AAA1.example.org'", "diameter.peers[1].host: is the same as diameter.peers[0]"),
        ("host = 'b'\ntransport = 'sctp'", "diameter.peers[1].transport: must be one of tcp, tls"),
        ("host = 'b'\ntls-key = 'k.pem'", "diameter.peers[1].tls-key: tls-certificate and"),
        (
            "host = 'b'\nplain-application-id = false\nvendor-specific-application-id = false",
            "diameter.peers[1].plain-application-id: the CER would name no application",
        ),
    ],
)
def test_a_peer_that_cannot_work_is_told(tmp_path: Path, peer: str, problem: str) -> None:
    text = f"{GOOD}\n[[diameter.peers]]\nhost='aaa1.example.org'\n[[diameter.peers]]\n{peer}\n"
    assert any(told.startswith(problem) for told in problems(tmp_path, text, here=False))


@pytest.mark.parametrize(
    ("one", "other", "problem"),
    [
        (
            "imsi-ranges = ['001010000000001-001010000000009']",
            "imsi-ranges = ['001010000000009-001010000000020']",
            "tenants[2].imsi-ranges[0]: overlaps 001010000000001-001010000000009 of tenants[1]",
        ),
        ("gid1 = ['a1']", "gid1 = ['A1FF']", "tenants[2].gid1[0]: A1FF is also a gid1"),
        (
            "imsi-ranges = ['001010000000009-001010000000001']",
            "gid1 = ['A1']",
            "tenants[1].imsi-ranges[0]: the first IMSI of a range is above the last",
        ),
        (
            "imsi-ranges = ['001010001-001010000000001']",
            "gid1 = ['A1']",
            "tenants[1].imsi-ranges[0]: both ends of a range have the same number of digits",
        ),
        (
            "imsi-ranges = ['00101']",
            "gid1 = ['A1']",
            "tenants[1].imsi-ranges[0]: a range is two IMSIs",
        ),
    ],
)
def test_tenants_that_nothing_tells_apart_are_told(
    tmp_path: Path, one: str, other: str, problem: str
) -> None:
    text = f"{GOOD}\n[[tenants]]\nid='a'\n{one}\n[[tenants]]\nid='b'\n{other}\n"
    (told,) = problems(tmp_path, text)
    assert told.startswith(problem)


def test_tenants_on_different_hosts_may_have_the_same_subscribers(tmp_path: Path) -> None:
    text = GOOD.replace("id =", "hosts = ['a.example']\nid =")
    text += "[[tenants]]\nid = 'b'\nhosts = ['b.example']\nplmns = ['00101']\n"
    assert len(load(write(tmp_path, text)).tenants) == 2


def test_secrets_come_from_files_and_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [base64.urlsafe_b64encode(bytes([n]) * 32).decode().rstrip("=") for n in (251, 2)]
    (tmp_path / "key").write_text(keys[0] + "\n")
    monkeypatch.setenv("COOKIE_KEY", keys[1])
    text = GOOD + "[node]\ncookie-keys = ['file:key', 'env:COOKIE_KEY']\n"
    assert load(write(tmp_path, text)).node.cookie_keys == tuple(keys)


def test_a_value_from_the_environment_is_checked_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_NAME", "env:not a name")
    (told,) = problems(tmp_path, GOOD + "[node]\nname = 'env:NODE_NAME'\n")
    assert told.startswith("node.name: must be 1 to 32")


def test_a_secret_that_is_missing_or_wrong_is_told_without_its_content(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-secret-of-the-wrong-length")
    (tmp_path / "large").write_bytes(b"x" * 70_000)
    (tmp_path / "binary").write_bytes(b"\xff")
    names = "'file:gone', 'env:NOT_THERE_AT_ALL', 'file:key', 'file:large', 'file:binary'"
    told = problems(tmp_path, GOOD + f"[node]\ncookie-keys = [{names}]\n")
    assert told == (
        f"node.cookie-keys[0]: cannot read {tmp_path / 'gone'}: No such file or directory",
        "node.cookie-keys[1]: the environment has no NOT_THERE_AT_ALL",
        f"node.cookie-keys[3]: {tmp_path / 'large'} is larger than 65536 octets",
        f"node.cookie-keys[4]: {tmp_path / 'binary'} is not UTF-8 text",
        "node.cookie-keys[2]: a cookie key is 32 octets in base64url (43 characters)",
    )
    (told_later,) = problems(tmp_path, GOOD + "[node]\ncookie-keys = ['file:key']\n")
    assert "a-secret" not in told_later


def test_a_file_for_another_machine_is_checked_without_its_secrets(tmp_path: Path) -> None:
    text = GOOD + "[node]\ncookie-keys = ['file:/not/here']\n"
    text += "[[device.certificates]]\nchain = 'c.pem'\nkey = 'k.pem'\n"
    config = load(write(tmp_path, text), here=False)
    assert config.node.cookie_keys == ("file:/not/here",)


def test_certificate_files_are_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_text("")
    text = GOOD + "[[device.certificates]]\nchain = 'c.pem'\nkey = 'c.pem'\n"
    (certificate,) = load(write(tmp_path, text)).device.certificates
    assert certificate.chain == str(tmp_path / "c.pem")


def test_an_attribute_that_may_be_absent_is_written_none(tmp_path: Path) -> None:
    text = GOOD + "[tenants.authentication]\nrat-type = 'none'\n"
    assert load(write(tmp_path, text)).tenants[0].authentication.rat_type is None


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path / "latin.toml")
