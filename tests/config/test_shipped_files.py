"""The configuration files that come with the program."""

import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from config.differences import RESTART, differences
from config.load import load
from config.model import Config, Section
from protocols.ts43.messages import DEFAULT_MESSAGES

CONFIG = Path(__file__).parents[2] / "config"
WRITTEN_AS_COMMENT = {
    "tenants[0].messages",
    "tenants[0].smdp-plus[0].notification-points",
    "overload.tenant-weights",
}


def wrong_defaults(kind: type[Section], table: dict[str, Any], path: str) -> list[str]:
    """Keys of the documentation that differ from the model, or are missing in either."""
    wrong: list[str] = []
    for field in msgspec.structs.fields(kind):
        where = f"{path}{field.encode_name}"
        if field.encode_name not in table:
            if where not in WRITTEN_AS_COMMENT:
                wrong.append(f"{where} is not documented")
            continue
        given = table[field.encode_name]
        inner = next((one for one in get_args(field.type) if one is not ...), None)
        if isinstance(field.type, type) and issubclass(field.type, Section):
            wrong += wrong_defaults(field.type, given, f"{where}.")
        elif isinstance(inner, type) and issubclass(inner, Section):
            wrong += wrong_defaults(inner, given[0], f"{where}[0].")
        elif not field.required:
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            if given != default:
                wrong.append(f"{where} is {given}, the default is {default}")
    return wrong


def test_the_documented_defaults_are_the_defaults() -> None:
    table = tomllib.loads((CONFIG / "defaults.toml").read_text())
    assert wrong_defaults(Config, table, "") == []


def test_a_required_key_is_marked() -> None:
    marked = [
        line.split("=")[0].strip()
        for line in (CONFIG / "defaults.toml").read_text().splitlines()
        if "# REQUIRED" in line
    ]
    assert marked == [
        *("chain", "key", "origin-host", "origin-realm", "host", "id"),
        *("name", "url", "requester", "ca", "certificate", "key"),
    ]


@pytest.mark.parametrize("name", ["defaults.toml", "production.toml", "lab.toml"])
def test_every_file_loads(name: str) -> None:
    assert load(CONFIG / name, here=name == "lab.toml").tenants


@pytest.mark.parametrize("name", ["production.toml", "lab.toml"])
def test_texts_have_an_id_that_the_program_uses(name: str) -> None:
    config = load(CONFIG / name, here=False)
    ids = {message for tenant in config.tenants for message in tenant.messages}
    assert ids
    assert ids <= set(DEFAULT_MESSAGES)


def test_the_lab_speaks_english_french_and_german() -> None:
    for tenant in load(CONFIG / "lab.toml").tenants:
        for texts in tenant.messages.values():
            assert set(texts) == {"en", "fr", "de"}


def change(config: Config, section: str, **values: object) -> Config:
    changed = msgspec.structs.replace(getattr(config, section), **values)
    return msgspec.structs.replace(config, **{section: changed})


def test_a_reload_knows_what_changed() -> None:
    old = load(CONFIG / "lab.toml")
    assert differences(old, load(CONFIG / "lab.toml")).changed == ()
    new = change(old, "diameter", watchdog_seconds=7.0)
    new = change(new, "device", listen=("127.0.0.1:0",))
    new = change(new, "store", busy_seconds=1.0)
    mno, mvno = new.tenants
    renamed = msgspec.structs.replace(mvno, id="other")
    moved = msgspec.structs.replace(mno, name="Other")
    new = msgspec.structs.replace(new, tenants=(moved, renamed))
    found = differences(old, new)
    assert found.changed == (
        "device.listen",
        "diameter.watchdog-seconds",
        "store.busy-seconds",
        "tenants.mno",
        "tenants.mvno",
        "tenants.other",
    )
    assert found.restart == ("device.listen", "store.busy-seconds")


# What `Node.reload` takes over, and who uses it from then on.
APPLIED = {
    "tenants",  # requests to come; an exchange that began keeps its tenant
    "node.cookie-keys",
    "node.drain-seconds",
    "device.certificates",  # connections to come
    "device.max-connections",
    "device.max-handshakes",
    "device.handshake-seconds",
    "device.idle-seconds",
    "device.request-seconds",
    "device.max-streams",
    "device.max-header-octets",
    "device.max-body-octets",
    "device.max-queued-octets",
    "device.paths",
    "diameter.peers",  # those that changed connect anew
    "diameter.connect-seconds",  # the next connection
    "diameter.product-name",
    "diameter.reconnect-seconds",  # the next delay
    "diameter.first-reconnect-seconds",
    "diameter.watchdog-seconds",  # at once, also of open peers
    "diameter.max-message-octets",
    "diameter.capabilities-seconds",
    "diameter.disconnect-seconds",
    "diameter.answer-seconds",  # the next DER
    "diameter.exchange-seconds",
    "diameter.max-pending",
    "diameter.overload-control",
    "sessions.challenge-seconds",  # sessions to come
    "sessions.finished-seconds",
    "sessions.max-challenges",
    "sessions.max-resynchronisations",
    "sessions.max-requests-per-device",
    "sessions.answer-seconds",
    "sessions.retry-after-seconds",
    "overload.enabled",  # the next request
    "overload.delay-seconds",
    "overload.aaa-delay-seconds",
    "overload.aaa-least-in-flight",
    "overload.ramp-start",
    "overload.authentications-per-device",
    "overload.retry-after-least",
    "overload.retry-after-most",
    "overload.tenant-weights",
    "orders.poll-minutes",  # the next step of each order
    "orders.max-polls",
    "orders.call-seconds",
    "orders.user-seconds",
    "orders.order-seconds",
    "orders.reservation-seconds",
    "orders.download-seconds",
    "orders.install-seconds",
    "orders.bss-callback-seconds",
    "orders.first-retry-seconds",
    "orders.longest-retry-seconds",
    "orders.profiles-per-order",
    "orders.swap-at",
    "orders.recovery",
    "orders.recovery-after-seconds",
    "orders.failed-profile",
    "orders.temporary-token-seconds",
    "orders.low-water",
    "orders.lease-seconds",
    "orders.look-seconds",
    "orders.profile-types",
    "partner.certificate",  # connections to come
    "partner.key",
    "logging.level",
    "logging.format",
}


def test_a_reload_takes_over_every_key_or_says_that_it_needs_a_restart() -> None:
    keys: set[str] = set()
    for section in msgspec.structs.fields(Config):
        if isinstance(section.type, type) and issubclass(section.type, Section):
            inner = msgspec.structs.fields(section.type)
            keys |= {f"{section.encode_name}.{field.encode_name}" for field in inner}
        else:
            keys.add(section.encode_name)
    assert keys == RESTART | APPLIED
    assert not RESTART & APPLIED
