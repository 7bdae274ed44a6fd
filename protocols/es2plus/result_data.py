"""Decoding of `resultData`: what the eUICC reported after an installation, in DER.

Source: GSMA SGP.22 §2.5.6, module RSPDefinitions with AUTOMATIC TAGS (so that the members of
ErrorResult have the tags 0, 1 and 2). The standard says that resultData is the finalResult (tag
A2), some SM-DP+ send the whole ProfileInstallationResult (tag BF37), some only the choice inside
(A0, A1): the first tag decides. Anything else stays opaque, for a notification is never refused
because of it.
"""

from typing import Any, Final

from pyasn1.codec.der.decoder import decode
from pyasn1.error import PyAsn1Error
from pyasn1.type import char, namedtype, tag, univ

from protocols.es2plus.installation import InstallationResult
from protocols.identity import Iccid

MAX_OCTETS: Final = 16_384


def _context(number: int, *, constructed: bool = False) -> tag.Tag:
    form = tag.tagFormatConstructed if constructed else tag.tagFormatSimple
    return tag.Tag(tag.tagClassContext, form, number)


def _application(number: int) -> tag.Tag:
    return tag.Tag(tag.tagClassApplication, tag.tagFormatSimple, number)


class NotificationMetadata(univ.Sequence):  # type: ignore[misc]  # pyasn1 has no types
    """BF2F"""

    tagSet = univ.Sequence.tagSet.tagImplicitly(_context(47, constructed=True))
    componentType = namedtype.NamedTypes(
        namedtype.NamedType("seqNumber", univ.Integer().subtype(implicitTag=_context(0))),
        namedtype.NamedType(
            "profileManagementOperation", univ.BitString().subtype(implicitTag=_context(1))
        ),
        namedtype.NamedType("notificationAddress", char.UTF8String()),
        namedtype.OptionalNamedType(
            "iccid", univ.OctetString().subtype(implicitTag=_application(26))
        ),
    )


class SuccessResult(univ.Sequence):  # type: ignore[misc]
    """A0"""

    tagSet = univ.Sequence.tagSet.tagImplicitly(_context(0, constructed=True))
    componentType = namedtype.NamedTypes(
        namedtype.NamedType("aid", univ.OctetString().subtype(implicitTag=_application(15))),
        namedtype.OptionalNamedType("simaResponse", univ.OctetString()),
    )


class ErrorResult(univ.Sequence):  # type: ignore[misc]
    """A1"""

    tagSet = univ.Sequence.tagSet.tagImplicitly(_context(1, constructed=True))
    componentType = namedtype.NamedTypes(
        namedtype.NamedType("bppCommandId", univ.Integer().subtype(implicitTag=_context(0))),
        namedtype.NamedType("errorReason", univ.Integer().subtype(implicitTag=_context(1))),
        namedtype.OptionalNamedType(
            "simaResponse", univ.OctetString().subtype(implicitTag=_context(2))
        ),
    )


class FinalResult(univ.Choice):  # type: ignore[misc]
    """A0 or A1"""

    componentType = namedtype.NamedTypes(
        namedtype.NamedType("successResult", SuccessResult()),
        namedtype.NamedType("errorResult", ErrorResult()),
    )


# A2: the tag of a CHOICE is explicit.
TAGGED_FINAL_RESULT: Final = FinalResult().subtype(explicitTag=_context(2, constructed=True))


class ProfileInstallationResultData(univ.Sequence):  # type: ignore[misc]
    """BF27"""

    tagSet = univ.Sequence.tagSet.tagImplicitly(_context(39, constructed=True))
    componentType = namedtype.NamedTypes(
        namedtype.NamedType("transactionId", univ.OctetString().subtype(implicitTag=_context(0))),
        namedtype.NamedType("notificationMetadata", NotificationMetadata()),
        namedtype.OptionalNamedType("smdpOid", univ.ObjectIdentifier()),
        namedtype.NamedType("finalResult", TAGGED_FINAL_RESULT),
    )


class ProfileInstallationResult(univ.Sequence):  # type: ignore[misc]
    """BF37"""

    tagSet = univ.Sequence.tagSet.tagImplicitly(_context(55, constructed=True))
    componentType = namedtype.NamedTypes(
        namedtype.NamedType("profileInstallationResultData", ProfileInstallationResultData()),
        namedtype.NamedType(
            "euiccSignPIR", univ.OctetString().subtype(implicitTag=_application(55))
        ),
    )


def decode_result_data(data: bytes) -> InstallationResult | None:
    """What the eUICC reported, or None when the octets are something else.

    Cost: about a millisecond.
    """
    if len(data) > MAX_OCTETS:
        return None
    try:
        return _decoded(data)
    except (PyAsn1Error, ValueError, TypeError, IndexError, KeyError, RecursionError):
        # The decoder's boundary: its own errors, and those that it lets through on odd octets.
        return None


def _decoded(data: bytes) -> InstallationResult | None:
    if data[:2] == b"\xbf\x37":
        whole = _exactly(data, ProfileInstallationResult())["profileInstallationResultData"]
        return _whole(whole)
    if data[:1] == b"\xa2":
        return _final(_exactly(data, TAGGED_FINAL_RESULT))
    if data[:1] in (b"\xa0", b"\xa1"):
        return _final(_exactly(data, FinalResult()))
    return None


def _exactly(data: bytes, spec: Any) -> Any:  # noqa: ANN401 (pyasn1 has no types)
    value, rest = decode(data, asn1Spec=spec)
    if rest:
        raise ValueError("octets follow the object")
    return value


def _whole(value: Any) -> InstallationResult:  # noqa: ANN401
    metadata = value["notificationMetadata"]
    final = _final(value["finalResult"])
    return InstallationResult(
        final.succeeded,
        final.command,
        final.error,
        _iccid(bytes(metadata["iccid"])) if metadata["iccid"].isValue else None,
        int(metadata["seqNumber"]),
        bytes(value["transactionId"]),
        str(value["smdpOid"]) if value["smdpOid"].isValue else "",
    )


def _final(value: Any) -> InstallationResult:  # noqa: ANN401
    if value.getName() == "successResult":
        return InstallationResult(True)
    error = value["errorResult"]
    return InstallationResult(False, int(error["bppCommandId"]), int(error["errorReason"]))


def _iccid(octets: bytes) -> Iccid | None:
    """Ten octets of digits with swapped nibbles (E.118, TS 102 221 §13.2)."""
    digits = "".join(f"{octet & 15:X}{octet >> 4:X}" for octet in octets)
    try:
        return Iccid(digits)
    except ValueError:
        return None
