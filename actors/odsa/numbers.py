"""ap2014: whose phone number is this? (GSMA TS.43 v12 §6.5.8, §6.5.10, §6.5.11, §13)

Answered from the subscriber alone.
"""

import hashlib
import hmac
import uuid
from typing import Final

from actors.backends.bss import SubscriberStatus
from actors.entitlement.decision import Decision
from actors.odsa.question import Question, answer
from protocols.identity import Msisdn
from protocols.ts43 import odsa_documents as documents
from protocols.ts43 import operations as op
from protocols.ts43.odsa import OperationResult
from protocols.ts43.odsa_request import OdsaFault, OdsaRequest

_TYPES: Final = {"imsi": 0, "uuid": 1, "hash": 2}


def decide_number(question: Question, request: OdsaRequest) -> Decision:
    """The number, whether it is right, or who the subscriber is.

    Raises:
        OdsaFault: the line has no number, or may not be told of.
    """
    line = question.subscriber
    if not question.known or line.status is SubscriberStatus.TERMINATED:
        raise OdsaFault(OperationResult.GENERAL_ERROR, "there is no such line")
    if not line.msisdn:
        raise OdsaFault(OperationResult.GENERAL_ERROR, "the line has no number")
    msisdn = f"+{line.msisdn}"
    if request.operation == op.GET_PHONE_NUMBER:
        encoded = question.tenant.phone_number.encoded
        return answer(
            question, documents.phone_number(question.app, msisdn, encoded=encoded), "told"
        )
    if request.operation == op.VERIFY_PHONE_NUMBER:
        matches = _same(request.msisdn, line.msisdn)
        application = documents.phone_number_verified(question.app, matches, msisdn)
        return answer(question, application, "matches" if matches else "does not match")
    rules = question.tenant.phone_number
    application = documents.subscriber_info(
        question.app,
        msisdn,
        _TYPES[rules.sim_id],
        sim_id(rules.sim_id, rules.sim_id_key, line.imsi),
        rules.mvno_name,
    )
    return answer(question, application, f"told, SimID as {rules.sim_id}")


def sim_id(form: str, key: str, imsi: str) -> str:
    """SimID (table 53): the IMSI itself, or what only the operator can make of it.

    Args:
        form: `imsi`, `uuid` or `hash`.
        key: of the HMAC.
    """
    if form == "imsi":
        return imsi
    digest = hmac.new(key.encode(), imsi.encode(), hashlib.sha256)
    if form == "hash":
        return digest.hexdigest()
    return str(uuid.UUID(bytes=digest.digest()[:16], version=5))


def _same(asked: str, own: str) -> bool:
    try:
        return hmac.compare_digest(Msisdn(asked), own)
    except ValueError:
        raise OdsaFault(OperationResult.INVALID_PARAMETER, "msisdn is invalid") from None
