"""[tenants.odsa] and [tenants.phone-number]: every mistake at once, with its path."""

from pathlib import Path

from config.load import ConfigError, load

HEAD = """
[diameter]
origin-host = "ecs1.example.org"
origin-realm = "example.org"

[[tenants]]
id = "mno"
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "node.toml"
    path.write_text(HEAD + text)
    try:
        load(path)
    except ConfigError as error:
        return list(error.problems)
    return []


def test_values_that_fit_each_other_are_good(tmp_path: Path) -> None:
    text = """
[tenants.odsa]
portal-url = "https://portal.example/ws"
portal-operations = ["change"]
[tenants.odsa.user-input]
operations = ["transfer"]
free-text = true
pattern = "[0-9]{4}"
expected = "msisdn-end"
[tenants.phone-number]
offered = true
sim-id-key = "secret"
"""
    assert problems(tmp_path, text) == []
    tenant = load(tmp_path / "node.toml").tenants[0]
    assert tenant.odsa.user_input.pattern == "[0-9]{4}"
    assert tenant.phone_number.offered


def test_values_that_do_not_fit_each_other_are_told(tmp_path: Path) -> None:
    text = """
[tenants.odsa]
portal-operations = ["change"]
[tenants.odsa.user-input]
pattern = "[0-9]{4}"
expected = "msisdn-end"
[tenants.phone-number]
offered = true
"""
    assert problems(tmp_path, text) == [
        "tenants[0].odsa.portal-operations: there is no portal-url",
        "tenants[0].odsa.user-input.expected: nothing is typed without free-text",
        "tenants[0].odsa.user-input.pattern: nothing is typed without free-text",
        "tenants[0].phone-number.sim-id-key: hash needs it",
    ]


def test_single_values_are_checked(tmp_path: Path) -> None:
    text = """
[tenants.odsa]
companion-services = ["OwnNumber"]
portal-url = "http://portal.example"
inline-seconds = 60
[tenants.odsa.user-input]
pattern = "("
"""
    found = problems(tmp_path, text)
    assert [one.partition(":")[0] for one in found] == [
        "tenants[0].odsa.companion-services[0]",
        "tenants[0].odsa.inline-seconds",
        "tenants[0].odsa.portal-url",
        "tenants[0].odsa.user-input.pattern",
    ]
