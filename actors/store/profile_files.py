"""Profiles of a pool as a CSV file, every mistake with its line.

Source: ITU-T E.118 (the check digit of an ICCID). Vendors' output files differ; their columns are
renamed to these by whoever exports them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from actors.store.profiles import Profile
from actors.store.subscriber_files import FileRefused, split
from protocols.es2plus.identifiers import MatchingId
from protocols.identity import Iccid, Imsi, Msisdn

COLUMNS: Final = ("iccid", "imsi", "msisdn", "profile_type", "matching_id")
FORMAT: Final = """\
The first line names the columns, in any order:

  iccid         18 to 20 digits with the check digit of E.118; needed
  imsi          of the card; without it the embedded BSS cannot make a line
  msisdn        number that comes with the card; empty: none
  profile_type  unless --profile-type gives it for all
  matching_id   that the vendor gave; empty: each order has its own

  iccid,imsi,profile_type
  8949000000000000018,001020000000001,CONSUMER_5G"""


@dataclass(slots=True)
class ReadProfiles:
    """What a file holds."""

    profiles: list[Profile] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)  # line, reason


def read_profiles(
    lines: Iterable[str],
    smdp: str,
    batch: str,
    profile_type: str = "",
    *,
    check_digits: bool = True,
) -> ReadProfiles:
    """Read a file; rows that are wrong, or name an ICCID or IMSI a second time, are left out.

    Args:
        smdp: name of the SM-DP+ in the tenant's configuration.
        batch: what the profiles are remembered by, such as the name of the file.
        profile_type: for rows that name none.
        check_digits: False: laboratory profiles often have wrong ones.

    Raises:
        FileRefused: the first line is wrong.
    """
    numbered = iter(enumerate(lines, 1))
    columns = _columns(next(numbered, (1, ""))[1])
    found = ReadProfiles()
    seen: dict[str, int] = {}
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            profile = _profile(columns, line, smdp, batch, profile_type, check_digits)
            for value in filter(None, (profile.iccid, profile.imsi)):
                if seen.setdefault(value, number) != number:
                    raise ValueError(f"names a card of line {seen[value]} again")
        except ValueError as error:
            found.bad.append((number, str(error)))
        else:
            found.profiles.append(profile)
    return found


def _columns(line: str) -> list[str]:
    columns = [name.strip() for name in line.removeprefix("\ufeff").strip().split(",")]
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise FileRefused(f"line 1: no such column: {', '.join(unknown)}")
    if "iccid" not in columns or len(set(columns)) != len(columns):
        raise FileRefused("line 1: iccid is needed, and each column once")
    return columns


def _profile(
    columns: list[str], line: str, smdp: str, batch: str, profile_type: str, check_digits: bool
) -> Profile:
    values = [value.strip() for value in split(line.rstrip("\r\n"))]
    if len(values) != len(columns):
        raise ValueError(f"has {len(values)} values instead of {len(columns)}")
    row = dict(zip(columns, values, strict=True))
    iccid = Iccid(row["iccid"])
    if check_digits and not iccid.check_digit_is_valid:
        raise ValueError("the check digit of the ICCID is wrong")
    imsi, msisdn = row.get("imsi", ""), row.get("msisdn", "")
    kind = row.get("profile_type", "") or profile_type
    if not kind:
        raise ValueError("there is no profile type")
    return Profile(
        str(iccid),
        smdp,
        kind,
        imsi=str(Imsi(imsi)) if imsi else "",
        msisdn=str(Msisdn(msisdn)) if msisdn else "",
        matching_id=str(MatchingId(row.get("matching_id", ""))),
        batch=batch,
    )
