"""The body of an operation: Parameters, or one resource alone (R4 operations.html 3.2.0.4)."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gateway.fhir.request.interaction import OperationArgument
from gateway.fhir.request.json_body import JsonBody
from gateway.fhir.request_error import RequestError, RequestProblem


class _RawParameter(msgspec.Struct, gc=False):
    resource: msgspec.Raw = msgspec.Raw()


class _RawParameters(msgspec.Struct, gc=False):
    parameter: list[_RawParameter] = []


_RAW_PARAMETERS = msgspec.json.Decoder(_RawParameters)


def read_operation_arguments(body: JsonBody) -> tuple[OperationArgument, ...]:
    """The values in the body of an operation. Raises `RequestError` (body_malformed, parameter_invalid)."""
    if body.value["resourceType"] != "Parameters":
        return (OperationArgument("", "resource", body.value, body.text),)
    if not body.value.keys() <= {"resourceType", "id", "meta", "parameter"}:
        raise RequestError(RequestProblem.BODY_MALFORMED, "Parameters", "They hold nothing but parameter.")
    parameters = body.value.get("parameter", [])
    if not isinstance(parameters, list) or not all(isinstance(parameter, dict) for parameter in parameters):
        raise RequestError(RequestProblem.BODY_MALFORMED, "Parameters.parameter")
    try:
        texts = _RAW_PARAMETERS.decode(body.text).parameter
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RequestError(RequestProblem.BODY_MALFORMED, "Parameters.parameter") from error
    return tuple(
        _read_argument(parameter, bytes(raw.resource)) for parameter, raw in zip(parameters, texts, strict=True)
    )


def _read_argument(parameter: Mapping[str, Any], text: bytes) -> OperationArgument:
    """One parameter, which has a name and one value. Parts and extensions are refused: no rule says what they mean."""
    name = parameter.get("name")
    if not isinstance(name, str) or not name:
        raise RequestError(RequestProblem.BODY_MALFORMED, "Parameters.parameter.name")
    kinds = [kind for kind in _value_members(parameter) if kind != "name"]
    if len(kinds) != 1:
        raise RequestError(
            RequestProblem.PARAMETER_INVALID, name, "It has one value, and neither parts nor extensions."
        )
    return OperationArgument(name, kinds[0], parameter[kinds[0]], text)


def _value_members(parameter: Mapping[str, Any]) -> Iterator[str]:
    for member in parameter:
        if member not in {"name", "resource"} and not member.startswith("value"):
            raise RequestError(
                RequestProblem.PARAMETER_INVALID, member, "A parameter has a name and a value, or a resource."
            )
        yield member
