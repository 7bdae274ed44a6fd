"""An ES2+ message in one line (GSMA SGP.22 §6.5): the function, and what became of it."""

from typing import Final

import msgspec

from protocols.http.message import HttpRequest, HttpResponse


class _Code(msgspec.Struct, rename="camel"):
    subject_code: str = ""
    reason_code: str = ""


class _Execution(msgspec.Struct, rename="camel"):
    status: str = ""
    status_code_data: _Code | None = None


class _Header(msgspec.Struct, rename="camel"):
    function_execution_status: _Execution | None = None


class _Answer(msgspec.Struct):
    header: _Header | None = None


_answer: Final = msgspec.json.Decoder(_Answer).decode


def es2plus_title(message: HttpRequest | HttpResponse) -> str:
    """`ES2+ confirmOrder`, `ES2+ 200 Failed 8.2.1/3.3`."""
    if isinstance(message, HttpRequest):
        return f"ES2+ {message.target.rpartition(b'/')[2].decode('latin-1')}"
    return f"ES2+ {message.status} {_result(message.body)}".rstrip()


def _result(body: bytes) -> str:
    """The execution status; empty when there is none."""
    try:
        read = _answer(body)
    except msgspec.DecodeError:
        return ""
    execution = read.header.function_execution_status if read.header is not None else None
    if execution is None:
        return ""
    code = execution.status_code_data
    return (
        f"{execution.status} {code.subject_code}/{code.reason_code}" if code else execution.status
    )
