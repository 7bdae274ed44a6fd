"""Reading a configuration file: TOML, secrets from files or the environment, every error at once.

A text value may be written `file:PATH` (the content of the file, without the last line end) or
`env:NAME` (an environment variable), so that secrets need not stand in the file. PATH, and the
certificate files, are relative to the folder of the configuration file.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from config.checks import check
from config.model import Config, DeviceListener, Diameter, DiameterPeer, Partner
from config.odsa_checks import check_odsa
from config.sections import Walk
from config.smdp_plus_checks import SMDP_PLUS_FILES, check_smdp_plus

MAX_SECRET_OCTETS: Final = 65_536  # `file:/dev/zero` shall not fill the memory


class ConfigError(Exception):
    """The file cannot be used.

    Attributes:
        problems: one line each, `dotted.path: what is wrong`.
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{path}: {len(problems)} problem{'s' * (len(problems) > 1)}{lines}")
        self.problems = tuple(problems)


def load(path: str | Path, *, here: bool = True) -> Config:
    """Read, resolve and check a configuration file.

    Args:
        path: the TOML file.
        here: whether it shall run on this machine. False leaves `file:` and `env:` as they are
            and does not ask whether files exist: to check a file that is meant for another one.

    Raises:
        ConfigError: with every problem found.
    """
    path = Path(path)
    table = _table(path)
    folder = path.resolve().parent
    walk = Walk((lambda text: resolve(text, folder, os.environ)) if here else None)
    config = walk.section(Config, table, "")
    walk.problems.extend(check(config, folder if here else None))
    walk.problems.extend(check_smdp_plus(config, folder if here else None))
    walk.problems.extend(check_odsa(config))
    if walk.problems:
        raise ConfigError(path, walk.problems)
    return _with_absolute_files(config, folder)


def resolve(text: str, folder: Path, environment: Mapping[str, str]) -> str:
    """The value behind `file:PATH` or `env:NAME`; any other text is its own value.

    Raises:
        ValueError: there is no such file or variable; the text never quotes the content.
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("file", "env"):
        return text
    if kind == "env":
        if name not in environment:
            raise ValueError(f"the environment has no {name}")
        return environment[name]
    try:
        with (folder / name).open("rb") as file:
            content = file.read(MAX_SECRET_OCTETS + 1)
    except OSError as error:
        raise ValueError(f"cannot read {folder / name}: {error.strerror}") from None
    if len(content) > MAX_SECRET_OCTETS:
        raise ValueError(f"{folder / name} is larger than {MAX_SECRET_OCTETS} octets")
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ValueError(f"{folder / name} is not UTF-8 text") from None


def _table(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(path, [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError(path, ["is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [f"is not TOML: {error}"]) from None


def _with_absolute_files(config: Config, folder: Path) -> Config:
    """Certificate files named relative to the configuration file, made absolute."""

    def absolute(name: str) -> str:
        return str(folder / name) if name else ""

    device: DeviceListener = msgspec.structs.replace(
        config.device,
        certificates=tuple(
            msgspec.structs.replace(one, chain=absolute(one.chain), key=absolute(one.key))
            for one in config.device.certificates
        ),
    )
    peers: tuple[DiameterPeer, ...] = tuple(
        msgspec.structs.replace(
            peer,
            tls_ca=absolute(peer.tls_ca),
            tls_certificate=absolute(peer.tls_certificate),
            tls_key=absolute(peer.tls_key),
        )
        for peer in config.diameter.peers
    )
    diameter: Diameter = msgspec.structs.replace(config.diameter, peers=peers)
    partner: Partner = msgspec.structs.replace(
        config.partner,
        certificate=absolute(config.partner.certificate),
        key=absolute(config.partner.key),
    )
    tenants = tuple(
        msgspec.structs.replace(
            tenant,
            smdp_plus=tuple(
                msgspec.structs.replace(
                    one, **{name: absolute(getattr(one, name)) for name in SMDP_PLUS_FILES}
                )
                for one in tenant.smdp_plus
            ),
        )
        for tenant in config.tenants
    )
    return msgspec.structs.replace(
        config, device=device, diameter=diameter, partner=partner, tenants=tenants
    )
