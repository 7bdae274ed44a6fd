"""What the lab's AAA server does for one subscriber beyond authenticating it.

A behaviour is written as words with commas between them: `delay=0.5,result=5012,round=2`. It holds
for an IMSI, or for every IMSI that ends with some digits (`*07`), or for everybody (`*`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from protocols.eap import numbers as n
from protocols.eap.aka_server import ServerOptions
from scripts.lab.behaviour_words import BehaviourError, described, read_words, words_of


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One subscriber's treatment. The default is an AAA that phones over TS.43 like."""

    # What it answers, and whether.
    result: str = described("", "Result-Code instead of the right one, CODE or CODE/VENDOR")
    unknown: bool = described(False, "not a subscriber: Experimental-Result 5001")
    round: int = described(0, "the DER that `result`, `silent`, `reset` ... hit; 0: every one")
    delay: float = described(0.0, "seconds before each answer")
    silent: bool = described(False, "never answer")
    reset: bool = described(False, "reset the connection instead of answering")
    disconnect: bool = described(False, "send DPR (REBOOTING) after answering")
    forget: bool = described(False, "lose the conversation after the first answer: 5002")
    error_message: str = described("", "Error-Message of every answer")
    # EAP.
    prime: bool = described(False, "EAP-AKA', which no phone can do")
    eap_identity: bool = described(False, "an EAP-Request/Identity round first")
    aka_identity: bool = described(False, "an AKA-Identity round (AT_ANY_ID_REQ) first")
    permanent_identity: bool = described(False, "an AKA-Identity round (AT_PERMANENT_ID_REQ)")
    notify_failure: bool = described(False, "AKA-Notification before a failure")
    result_indication: bool = described(False, "AT_RESULT_IND")
    checkcode: bool = described(False, "AT_CHECKCODE")
    bidding: bool = described(False, "AT_BIDDING")
    pseudonym: bool = described(False, "an encrypted AT_NEXT_PSEUDONYM")
    mac_first: bool = described(False, "AT_MAC before AT_RAND, which Samsung cannot read")
    reauthentication: bool = described(False, "AKA-Reauthentication instead of a challenge")
    stale: int = described(0, "first challenges that the card finds stale (resynchronisation)")
    forged: bool = described(False, "AUTN of another network: phones go silent")
    # AVPs.
    no_state: bool = described(False, "no State AVP in 1001")
    no_msk: bool = described(False, "no EAP-Master-Session-Key in 2001")
    no_permanent: bool = described(False, "no Mobile-Node-Identifier in 2001")
    no_msisdn: bool = described(False, "no Subscription-Id in 2001")
    stateless: bool = described(False, "Auth-Session-State NO_STATE_MAINTAINED: no STR")
    multi_round_time_out: int = described(0, "Multi-Round-Time-Out of 1001, seconds")
    session_timeout: int = described(0, "Session-Timeout of 2001, seconds")
    # What it does by itself.
    rar: float = described(0.0, "seconds after success: Re-Auth-Request")
    asr: float = described(0.0, "seconds after success: Abort-Session-Request")
    overload: int = described(0, "OC-OLR in every answer: reduction in percent")
    overload_seconds: int = described(30, "validity of the OC-OLR")
    overload_realm: bool = described(False, "the OC-OLR is about the realm, not this host")

    @property
    def code(self) -> tuple[int, int]:
        """(vendor, code) of `result`; (0, 0) when it is empty."""
        if not self.result:
            return 0, 0
        code, _, vendor = self.result.partition("/")
        return int(vendor or 0), int(code)

    def hits(self, round_number: int) -> bool:
        """Whether `round` means this DER (the first one is 1)."""
        return self.round in (0, round_number)

    def server_options(self, prime: bool) -> ServerOptions:
        """How the EAP server behaves; `prime`: the identity asks for EAP-AKA'."""
        request = n.AT_ANY_ID_REQ if self.aka_identity else 0
        if self.permanent_identity:
            request = n.AT_PERMANENT_ID_REQ
        return ServerOptions(
            type=n.EAP_AKA_PRIME if prime or self.prime else n.EAP_AKA,
            identity_request=request,
            result_indication=self.result_indication,
            checkcode=self.checkcode,
            bidding=self.bidding,
            notify_failure=self.notify_failure,
            rand_autn_first=not self.mac_first,
            next_pseudonym=b"2lab-pseudonym" if self.pseudonym else b"",
        )


DEFAULT: Final = Behaviour()
WORDS: Final = words_of(Behaviour)

# `--suffixes`: a fault for each of the last two digits 80 to 99, so that plain traffic over an
# IMSI range meets all of them.
SUFFIXES: Final[Mapping[str, str]] = {
    "*80": "stale=1",
    "*81": "stale=2",
    "*82": "aka-identity",
    "*83": "eap-identity",
    "*84": "notify-failure,unknown",
    "*85": "unknown",
    "*86": "result=5003",
    "*87": "result=4181/10415",
    "*88": "result=5012",
    "*89": "result=3002",
    "*90": "result=3004",
    "*91": "delay=1",
    "*92": "silent",
    "*93": "silent,round=2",
    "*94": "forget",
    "*95": "mac-first",
    "*96": "prime",
    "*97": "reauthentication",
    "*98": "forged",
    "*99": "result=5450/10415",
}


def parse_behaviour(text: str) -> Behaviour:
    """Read `word` and `word=value` with commas between them.

    Raises:
        BehaviourError: a word is unknown or its value wrong.
    """
    found = Behaviour(**read_words(text, WORDS))
    try:
        found.code  # noqa: B018 (the check is in reading it)
    except ValueError:
        raise BehaviourError(f"result={found.result!r} is no CODE or CODE/VENDOR") from None
    return found


class Behaviours:
    """Who gets which behaviour. Change it at any time; it holds for new conversations."""

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        """Start with `given`: `IMSI`, `*DIGITS` or `*` to a behaviour's text.

        Raises:
            BehaviourError: a text is wrong.
        """
        self._exact: dict[str, Behaviour] = {}
        self._suffixes: dict[int, dict[str, Behaviour]] = {}
        for who, text in (given or {}).items():
            self.set(who, parse_behaviour(text))

    def set(self, who: str, behaviour: Behaviour) -> None:
        """Give an IMSI, or with `*DIGITS` a group, a behaviour."""
        if who.startswith("*"):
            digits = who[1:]
            self._suffixes.setdefault(len(digits), {})[digits] = behaviour
        else:
            self._exact[who] = behaviour

    def clear(self) -> None:
        """Everybody is treated well again."""
        self._exact.clear()
        self._suffixes.clear()

    def of(self, imsi: str) -> Behaviour:
        """The behaviour for an IMSI: its own, else that of the longest ending, else the default."""
        found = self._exact.get(imsi)
        if found is not None:
            return found
        for length in sorted(self._suffixes, reverse=True):
            found = self._suffixes[length].get(imsi[len(imsi) - length :])
            if found is not None:
                return found
        return DEFAULT


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """`WHO=words` of the command line or the control connection.

    Raises:
        BehaviourError: there is no `=`, or the words are wrong.
    """
    found = {}
    for text in texts:
        who, equals, words = text.partition("=")
        if not equals or (not who.lstrip("*").isdigit() and who != "*"):
            raise BehaviourError(f"{text!r} is not IMSI=words or *DIGITS=words")
        parse_behaviour(words)
        found[who] = words
    return found
