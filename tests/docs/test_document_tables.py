"""The tables of settings and reasons in docs/ say what the code says, and the list of reasons is complete."""

from gateway.fhir.request_error import RequestProblem
from gateway.policy.reasons import Reason
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from scripts.document_tables import TABLES, with_table


def test_the_tables_are_as_the_code_says() -> None:
    for page in TABLES:
        assert with_table(page) == page.read_text(encoding="utf-8"), "run: python -m scripts.document_tables"


def test_every_reason_has_an_answer_and_every_problem_of_a_request_is_a_reason() -> None:
    assert set(REFUSAL_TEXTS) == set(Reason)
    assert {problem.value for problem in RequestProblem} <= {reason.value for reason in Reason}
