"""Checks across the values of [partner] and [[tenants.smdp-plus]]: URLs, certificates, names.

As in `config/checks.py` a check that needs a wrong value says nothing.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from config.model import Config, Partner, SmdpPlus
from config.sections import BAD, Unknown, is_reference

SMDP_PLUS_FILES: Final = ("ca", "certificate", "key", "notification_ca")
_CLIENT_FILES: Final = ("ca", "certificate", "key")


def check_smdp_plus(config: Config, folder: Path | None) -> Iterator[str]:
    """Every problem, as `dotted.path: what is wrong`.

    Args:
        config: whose values are each right by themselves; `Partial` where some are not.
        folder: of the configuration file, to look for the files it names; None: do not look.
    """
    rows: list[tuple[str, SmdpPlus]] = []
    with suppress(Unknown):
        for at, tenant in enumerate(config.tenants):
            if tenant is BAD:
                continue
            with suppress(Unknown):
                names: dict[str, int] = {}
                for place, one in enumerate(tenant.smdp_plus):
                    if one is BAD:
                        continue
                    path = f"tenants[{at}].smdp-plus[{place}]"
                    rows.append((path, one))
                    with suppress(Unknown):
                        if names.setdefault(one.name, place) != place:
                            yield f"{path}.name: is also the name of smdp-plus[{names[one.name]}]"
    for path, one in rows:
        for check in (_transport, _basic, _reporter):
            with suppress(Unknown):
                yield from check(one, path)
        yield from _files(one, SMDP_PLUS_FILES, path, folder)
    yield from _ambiguous(rows)
    with suppress(Unknown):
        yield from _partner(config.partner, [one for _, one in rows], folder)


def _transport(one: SmdpPlus, path: str) -> Iterator[str]:
    if one.url.startswith("http://"):
        if not one.inside_vpn:
            yield f"{path}.url: http:// needs inside-vpn = true"
        return
    for name in _CLIENT_FILES:
        if not getattr(one, name):
            # SGP.22 §2.6.6: the sender is authenticated by its TLS certificate alone.
            yield f"{path}.{name}: is needed, for both sides show a certificate"


def _basic(one: SmdpPlus, path: str) -> Iterator[str]:
    if bool(one.basic_user) != bool(one.basic_password):
        yield f"{path}.basic-password: basic-user and basic-password are given both or not at all"


def _reporter(one: SmdpPlus, path: str) -> Iterator[str]:
    if bool(one.notification_ca) != bool(one.notification_names):
        yield (
            f"{path}.notification-names: notification-ca and notification-names are given both "
            "or not at all"
        )


def _ambiguous(rows: list[tuple[str, SmdpPlus]]) -> Iterator[str]:
    """Two SM-DP+ that a notification could be from."""
    seen: dict[tuple[str, str, str], str] = {}
    for path, one in rows:
        with suppress(Unknown):
            ca, prefix = one.notification_ca, one.notification_prefix
            for name in one.notification_names:
                if name is BAD or is_reference(name):
                    continue
                other = seen.setdefault((ca, name.lower(), prefix), path)
                if other != path:
                    yield (
                        f"{path}.notification-prefix: the certificate and prefix are also those "
                        f"of {other}"
                    )


def _partner(partner: Partner, rows: list[SmdpPlus], folder: Path | None) -> Iterator[str]:
    if partner.listen:
        for name in ("certificate", "key"):
            if not getattr(partner, name):
                yield f"partner.{name}: is needed to listen"
        if not any(_reports(one) for one in rows):
            yield "partner.listen: no smdp-plus has a notification-ca, so nobody may report"
    yield from _files(partner, ("certificate", "key"), "partner", folder)


def _reports(one: SmdpPlus) -> bool:
    try:
        return bool(one.notification_ca)
    except Unknown:
        return True


def _files(
    section: SmdpPlus | Partner, names: tuple[str, ...], path: str, folder: Path | None
) -> Iterator[str]:
    if folder is None:
        return
    for name in names:
        with suppress(Unknown):
            file = getattr(section, name)
            if file and not (folder / file).is_file():
                yield f"{path}.{name.replace('_', '-')}: there is no file {folder / file}"
