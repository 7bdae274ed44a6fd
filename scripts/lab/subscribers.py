"""The subscribers of the lab, shared by its AAA server, its phones and the traffic generator.

File format (as SIPp's injection files): the first line says how to walk through (`SEQUENTIAL`),
then one subscriber a line, `imsi;k;opc;sqn;imei;plan;tenant`. K, OPc and SQN are hexadecimal. Lines
that begin with `#` are comments.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from protocols.identity import Imei, Imsi
from scripts.lab.usim import Usim

DEFAULT_FILE: Final = Path(__file__).with_name("subscribers.csv")
FIRST_LINE: Final = "SEQUENTIAL"

# TS 35.208 test set 1: no secret, and every lab has it.
K: Final = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")
OPC: Final = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")

PLMN: Final = "00101"
FIRST_IMSI: Final = 1_010_000_000_001  # 001010000000001
FIRST_IMEI: Final = 35_600_000_000_001


class SubscriberFileError(ValueError):
    """A line of the file is wrong; the text says which and why."""


@dataclass(frozen=True, slots=True)
class LabSubscriber:
    """One line of the file.

    Attributes:
        imsi: 15 digits.
        k, opc: of the card.
        sqn: the last sequence number that network and card agreed on.
        imei: of the phone, 15 digits.
        plan, tenant: ids, for the node's store.
    """

    imsi: str
    k: bytes = field(default=K, repr=False)
    opc: bytes = field(default=OPC, repr=False)
    sqn: int = 0
    imei: str = ""
    plan: str = ""
    tenant: str = "mno"

    def usim(self) -> Usim:
        """The card of this subscriber."""
        return Usim(self.imsi, self.k, self.opc, self.sqn)

    def line(self) -> str:
        """The subscriber as a line of the file."""
        return ";".join(
            (
                self.imsi,
                self.k.hex(),
                self.opc.hex(),
                f"{self.sqn:012x}",
                self.imei,
                self.plan,
                self.tenant,
            )
        )


def nai_of(imsi: str, mnc_digits: int = 2, prefix: str = "0") -> str:
    """The root NAI of an IMSI (TS 23.003 §19.3.2).

    Args:
        mnc_digits: of the home network; the test network 001/01 has two.
        prefix: `0` EAP-AKA, `6` EAP-AKA'.
    """
    mnc = imsi[3 : 3 + mnc_digits]
    return f"{prefix}{imsi}@nai.epc.mnc{mnc:0>3}.mcc{imsi[:3]}.3gppnetwork.org"


def imei_of(number: int) -> str:
    """An IMEI of 15 digits with its check digit (TS 23.003 annex B); `number` counts from 0."""
    digits = f"{FIRST_IMEI + number:014d}"
    doubled = [int(d) * 2 if at % 2 else int(d) for at, d in enumerate(digits)]
    return digits + str(-sum(n // 10 + n % 10 for n in doubled) % 10)


def sequential(
    count: int, first_imsi: int = FIRST_IMSI, plan: str = "", tenant: str = "mno"
) -> Iterator[LabSubscriber]:
    """`count` made-up subscribers with consecutive IMSIs, all with the same card keys."""
    for number in range(count):
        yield LabSubscriber(
            f"{first_imsi + number:015d}", imei=imei_of(number), plan=plan, tenant=tenant
        )


def parse(lines: Iterable[str]) -> Iterator[LabSubscriber]:
    """Read a file line by line; a million lines need no memory.

    Raises:
        SubscriberFileError: the first line or a subscriber is wrong.
    """
    numbered = enumerate(lines, 1)
    number, first = next(numbered, (0, ""))
    if first.strip() != FIRST_LINE:
        raise SubscriberFileError(f"line {number}: the first line must be {FIRST_LINE}")
    for number, text in numbered:
        line = text.strip()
        if line and not line.startswith("#"):
            yield _subscriber(number, line.split(";"))


def _subscriber(number: int, fields: list[str]) -> LabSubscriber:
    try:
        imsi, k, opc, sqn, imei, plan, tenant = fields
        found = LabSubscriber(
            Imsi(imsi),
            bytes.fromhex(k) or K,
            bytes.fromhex(opc) or OPC,
            int(sqn or "0", 16),
            Imei(imei) if imei else "",
            plan,
            tenant,
        )
    except ValueError as error:
        raise SubscriberFileError(f"line {number}: {error}") from None
    if len(found.k) != 16 or len(found.opc) != 16 or not 0 <= found.sqn < 1 << 48:
        raise SubscriberFileError(f"line {number}: K and OPc have 16 octets, SQN has 6")
    return found


def load(path: Path = DEFAULT_FILE) -> list[LabSubscriber]:
    """All subscribers of a file.

    Raises:
        SubscriberFileError: a line is wrong.
        OSError: the file cannot be read.
    """
    with path.open(encoding="ascii") as file:
        return list(parse(file))


def write(path: Path, subscribers: Iterable[LabSubscriber]) -> None:
    """Write a file that `load` reads."""
    with path.open("w", encoding="ascii") as file:
        file.write(FIRST_LINE + "\n")
        file.writelines(f"{subscriber.line()}\n" for subscriber in subscribers)
