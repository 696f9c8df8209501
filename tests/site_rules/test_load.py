"""A site's rule is found by its name among the entry points; what cannot be used keeps the gateway from starting."""

import pytest

from gateway.commands.serving.start_rules import START_RULES
from gateway.settings.model import Settings
from gateway.site_rules.load import SiteRuleError, load_site_rule
from tests.site_rules.sample_rules import install

HERE = "tests.site_rules.sample_rules"
UNUSABLE = {
    "a name that no package has": ("other", f"{HERE}:FinalOnly", "no installed package has an entry point 'mine'"),
    "a module that there is not": ("mine", "tests.site_rules.none", "cannot be loaded: ModuleNotFoundError"),
    "an object without elements": ("mine", f"{HERE}:install", "cannot be loaded: AttributeError"),
    "an object without a function": ("mine", "tests.site_rules.test_load:Empty", "must have a function permits"),
    "elements that are one text": ("mine", "tests.site_rules.test_load:OneText", "must have elements, a collection"),
}


class Empty:
    """No rule."""

    elements = ()


class OneText:
    """No rule."""

    elements = "status"


@pytest.mark.parametrize(("name", "value", "problem"), UNUSABLE.values(), ids=UNUSABLE)
def test_it_is_not_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str) -> None:
    install(monkeypatch, **{name: value})
    with pytest.raises(SiteRuleError, match=problem):
        load_site_rule("mine", 0.05)


def test_a_rule_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, mine=f"{HERE}:FinalOnly")
    assert load_site_rule("mine", 0.05) is load_site_rule("mine", 0.05)


def test_the_gateway_does_not_start_without_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    settings = Settings.model_validate(
        {
            "public_base_url": "https://fhir.example/r4",
            "upstream": {"base_url": "http://fhir.internal/fhir"},
            "issuers": [
                {"issuer": "https://issuer.example", "audiences": ["x"], "jwks_url": "https://issuer.example/j"}
            ],
            "record_rules": {"site_rules": ["mine"]},
        }
    )
    problems = [problem for start_rule in START_RULES for problem in start_rule(settings)]
    assert [problem.path for problem in problems] == [("record_rules", "site_rules")]
