"""From the parts of a request to a bulk export: its kick-off, and the links of this gateway to its job and files."""

import re
from collections.abc import Mapping

from gateway.fhir.form_encoding import Pairs
from gateway.fhir.request.export_parameters import parse_export_parameters, read_parameters_resource
from gateway.fhir.request.interaction import ExportKickoff, ExportLevel
from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.fhir.search.search_keys import ParameterDefinitions

_SEALED = re.compile(r"[A-Za-z0-9\-_]+")


def build_export_kickoff(
    level: ExportLevel,
    group_id: str | None,
    pairs: Pairs,
    body: bytes,
    headers: Mapping[bytes, bytes],
    definitions: ParameterDefinitions,
) -> ExportKickoff:
    """The kick-off with the parameters of the query and of the body. Raises `RequestError`.

    Patients are listed in a POST only, and not for the whole system (Bulk Data 2.0).
    """
    posted = read_parameters_resource(body, headers) if body else []
    parameters = parse_export_parameters([*pairs, *posted], definitions)
    if parameters.patients and (level is ExportLevel.SYSTEM or any(name == "patient" for name, _ in pairs)):
        raise RequestError(
            RequestProblem.PARAMETER_UNKNOWN, "patient", "It belongs in the body of a POST to Patient or to a Group."
        )
    preferences = headers.get(b"prefer", b"").lower().replace(b";", b",").split(b",")
    is_asynchronous = b"respond-async" in {preference.strip() for preference in preferences}
    return ExportKickoff(level, parameters, group_id, is_asynchronous)


def read_sealed_parameter(pairs: Pairs, parameter: str) -> str:
    """The value of the one parameter that a link of this gateway has. Raises `RequestError`."""
    names = [name for name, _ in pairs]
    if names != [parameter]:
        other = next((name for name in names if name != parameter), None)
        problem = RequestProblem.PARAMETER_EMPTY if other is None else RequestProblem.PARAMETER_UNKNOWN
        raise RequestError(problem, other or parameter, "Use the link as it was given.")
    value = pairs[0][1]
    if not _SEALED.fullmatch(value):
        raise RequestError(RequestProblem.PARAMETER_INVALID, parameter)
    return value
