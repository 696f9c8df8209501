"""The decisions that hold under every configuration: they do, and each notices a policy that breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.request.interaction import Interaction
from gateway.policy.decision import certain_decisions
from gateway.policy.decision.certain_decisions import CERTAIN_DECISIONS, find_broken_decisions
from gateway.policy.decision_types import Allow, Decision, PassThrough, UpstreamRequest
from gateway.policy.permission.grant import Grant
from gateway.policy.permission.rules import (
    MembershipMode,
    PractitionerReach,
    Rules,
    UnnarrowedSearch,
    WriteRules,
)
from gateway.policy.permission.security_labels import SecurityLabelRule
from tests.policy.grants import PUBLIC, UPSTREAM

RULES = st.builds(
    Rules,
    st.just(PUBLIC),
    st.just(UPSTREAM),
    membership=st.sampled_from(MembershipMode),
    practitioner_reach=st.sampled_from(PractitionerReach),
    search_without_narrowing=st.sampled_from(UnnarrowedSearch),
    compartment_search=st.booleans(),
    writes=st.builds(WriteRules, st.booleans(), st.booleans(), st.booleans()),
    has_capability_statement=st.booleans(),
    unsupported_parameters=st.dictionaries(
        st.sampled_from(["Observation", "Patient"]), st.frozensets(st.sampled_from(["patient", "subject", "_id"]))
    ),
    record_rules=st.lists(st.builds(SecurityLabelRule, st.just(frozenset({"R", "V"}))), max_size=1).map(tuple),
)


@given(rules=RULES)
def test_they_hold_under_every_policy(rules: Rules) -> None:
    assert list(find_broken_decisions(rules)) == []


def _pass_everything(interaction: Interaction, grant: Grant) -> Decision:
    return Allow(UpstreamRequest("/x"), PassThrough())


def test_each_of_them_is_broken_by_a_gateway_that_passes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certain_decisions, "decide", _pass_everything)
    sentences = [certain.sentence for certain in CERTAIN_DECISIONS]
    assert list(find_broken_decisions(Rules(PUBLIC, UPSTREAM))) == sentences
    assert len(set(sentences)) == len(sentences)
