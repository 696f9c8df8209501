"""What a FHIR server says of each entry of a transaction (R4 http.html 3.1.0.11.3)."""

import re

import msgspec

from gateway.fhir.resources.resource import MalformedResourceError, check_utf8

_STATUS = re.compile(r"([1-5][0-9]{2})(?: .*)?", re.DOTALL)


class AnswerStatus(msgspec.Struct, frozen=True, gc=False):
    """`entry.response`, as far as it is read."""

    status: str
    location: str | None = None

    @property
    def code(self) -> int:
        """The HTTP status. Raises `MalformedResourceError`."""
        match = _STATUS.fullmatch(self.status)
        if match is None:
            raise MalformedResourceError("no status")
        return int(match[1])


class EntryAnswer(msgspec.Struct, frozen=True, gc=False):
    """The answer to one entry. The resource is not read yet."""

    response: AnswerStatus
    resource: msgspec.Raw = msgspec.Raw()


class _TransactionResponse(msgspec.Struct, frozen=True, gc=False):
    resourceType: str  # noqa: N815 - FHIR's own name
    type: str
    entry: tuple[EntryAnswer, ...] = ()


_DECODER = msgspec.json.Decoder(_TransactionResponse)


def read_transaction_response(body: bytes, entries: int) -> tuple[EntryAnswer, ...]:
    """The answers to so many entries. Raises `MalformedResourceError` if these are other ones."""
    check_utf8(body)
    try:
        read = _DECODER.decode(body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise MalformedResourceError("no transaction-response") from error
    is_answer = (read.resourceType, read.type) == ("Bundle", "transaction-response")
    if not is_answer or len(read.entry) != entries:
        raise MalformedResourceError("no answer to this transaction")
    return read.entry
