"""[partner] and [[tenants.smdp-plus]]: every mistake at once, with its path."""

from pathlib import Path

import pytest

from config.load import ConfigError, load
from config.rules import split_window

HEAD = """
[diameter]
origin-host = "ecs1.example.org"
origin-realm = "example.org"

[[tenants]]
id = "mno"
"""
GOOD = """
[[tenants.smdp-plus]]
name = "dp1"
url = "https://es2.example:8443"
requester = "2.999.20"
ca = "ca.pem"
certificate = "client.pem"
key = "client.key"
"""


def problems(tmp_path: Path, text: str, *, here: bool = False) -> list[str]:
    path = tmp_path / "node.toml"
    path.write_text(HEAD + text)
    try:
        load(path, here=here)
    except ConfigError as error:
        return list(error.problems)
    return []


def test_a_plain_one_is_good_and_its_files_become_absolute(tmp_path: Path) -> None:
    for name in ("ca.pem", "client.pem", "client.key", "note.pem"):
        (tmp_path / name).touch()
    text = GOOD + 'notification-ca = "note.pem"\nnotification-names = ["dp1.example"]\n'
    assert problems(tmp_path, text, here=True) == []
    (one,) = load(tmp_path / "node.toml").tenants[0].smdp_plus
    assert one.ca == str(tmp_path / "ca.pem")
    assert one.notification_ca == str(tmp_path / "note.pem")
    assert one.connect_seconds == 3.0


def test_missing_files_are_told(tmp_path: Path) -> None:
    text = GOOD + '[partner]\nlisten = "127.0.0.1:0"\ncertificate = "p.pem"\nkey = "p.key"\n'
    assert problems(tmp_path, text, here=True) == [
        f"tenants[0].smdp-plus[0].ca: there is no file {tmp_path / 'ca.pem'}",
        f"tenants[0].smdp-plus[0].certificate: there is no file {tmp_path / 'client.pem'}",
        f"tenants[0].smdp-plus[0].key: there is no file {tmp_path / 'client.key'}",
        "partner.listen: no smdp-plus has a notification-ca, so nobody may report",
        f"partner.certificate: there is no file {tmp_path / 'p.pem'}",
        f"partner.key: there is no file {tmp_path / 'p.key'}",
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('driver = "acme"', "driver: must be one of standard, idemia, monogoto"),
        ('version = "2.2"', "version: a version is three numbers"),
        ('path-prefix = "aep"', "path-prefix: a path begins with /"),
        ('path-prefix = "/aep/"', "path-prefix: a prefix does not end with /"),
        ('iccid-form = "f"', "iccid-form: must be one of"),
        ('maintenance = ["25:00-01:00"]', "maintenance[0]: a window is"),
        ('maintenance = ["02:00-02:00"]', "maintenance[0]: a window does not end"),
        ('notification-points = { 5 = "gone" }', 'notification-points: 5: "gone" is none of'),
        ('basic-user = "u"', "basic-password: basic-user and basic-password"),
        ('notification-ca = "x.pem"', "notification-names: notification-ca and"),
        ('oid = "x"', "oid: an OID is numbers"),
        ("max-calls = 0", "max-calls: must be from 1"),
    ],
)
def test_a_wrong_value_is_told(tmp_path: Path, line: str, problem: str) -> None:
    (found,) = problems(tmp_path, f"{GOOD}{line}\n")
    assert found.startswith(f"tenants[0].smdp-plus[0].{problem}")


@pytest.mark.parametrize(
    "url",
    ["es2.example", "ftp://x", "https://x/path", "https://x:0", "https://x:70000", "https://"],
)
def test_a_wrong_url_is_told(tmp_path: Path, url: str) -> None:
    found = problems(tmp_path, GOOD.replace("https://es2.example:8443", url))
    assert found[0].startswith("tenants[0].smdp-plus[0].url: ")


def test_https_needs_certificates_and_http_a_vpn(tmp_path: Path) -> None:
    bare = GOOD.replace("ca.pem", "").replace("client.pem", "").replace("client.key", "")
    path = "tenants[0].smdp-plus[0]"
    need = "is needed, for both sides show a certificate"
    assert problems(tmp_path, bare) == [
        f"{path}.{name}: {need}" for name in ("ca", "certificate", "key")
    ]
    plain = bare.replace("https://", "http://")
    assert problems(tmp_path, plain) == [f"{path}.url: http:// needs inside-vpn = true"]
    assert problems(tmp_path, plain + "inside-vpn = true\n") == []


def test_names_are_unique_and_nobody_reports_for_two(tmp_path: Path) -> None:
    reporter = 'notification-ca = "x.pem"\nnotification-names = ["dp1.example"]\n'
    assert problems(tmp_path, GOOD + reporter + GOOD + reporter) == [
        "tenants[0].smdp-plus[1].name: is also the name of smdp-plus[0]",
        "tenants[0].smdp-plus[1].notification-prefix: the certificate and prefix are also those "
        "of tenants[0].smdp-plus[0]",
    ]
    other = GOOD.replace("dp1", "dp2") + reporter + 'notification-prefix = "/two"\n'
    assert problems(tmp_path, GOOD + reporter + other) == []


def test_a_listener_needs_a_certificate(tmp_path: Path) -> None:
    reporter = 'notification-ca = "x.pem"\nnotification-names = ["dp1.example"]\n'
    text = GOOD + reporter + '[partner]\nlisten = "127.0.0.1:9443"\n'
    assert problems(tmp_path, text) == [
        "partner.certificate: is needed to listen",
        "partner.key: is needed to listen",
    ]
    text += '[management]\nlisten = "127.0.0.1:9443"\n'
    assert any("partner.listen: 127.0.0.1:9443 is taken" in one for one in problems(tmp_path, text))


def test_windows_are_read() -> None:
    assert split_window("02:00-04:30") == (None, 120, 270)
    assert split_window("Sun 22:00-02:00") == (6, 1320, 120)
