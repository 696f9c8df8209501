"""The problems of a request are reasons of `gateway.policy`."""

from gateway.fhir.request_error import RequestError, RequestProblem
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS


def test_every_problem_is_a_reason_with_an_answer_of_the_client_error_class() -> None:
    assert all(400 <= REFUSAL_TEXTS[Reason(problem.value)].status < 500 for problem in RequestProblem)


def test_an_error_names_its_offender_short_and_printable() -> None:
    error = RequestError(RequestProblem.PARAMETER_UNKNOWN, "a\nb" + "x" * 500)
    assert error.offender == "a?b" + "x" * 97
    assert str(error) == f"parameter_unknown: {error.offender}"
