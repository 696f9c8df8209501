"""Problems in the settings of trusted issuers."""

from pathlib import Path

import pytest

from tests.settings.configuration import ALGORITHMS, HTTPS, LEAST, in_file, problems

# Replaced in the least configuration: the old text, the new one, and the only problem.
REPLACED = {
    "an issuer without audiences": (
        "[https://fhir.example.org/r4]",
        "[]",
        "6: issuers[0].audiences: must not be empty",
    ),
    "an issuer with no way to check its tokens": (
        "    jwks_url: https://login.example.org/jwks\n",
        "",
        "5: issuers[0]: needs one of jwks_url, jwks_file and introspection",
    ),
    "an issuer with two ways to check its tokens": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    jwks_file: /etc/passwd\n",
        "8: issuers[0].jwks_file: is one too many beside jwks_url",
    ),
    "keys fetched in the clear": (
        "https://login.example.org/jwks",
        "http://login.example.org/jwks",
        f"7: issuers[0].jwks_url: {HTTPS}",
    ),
    "a signature that anyone can make": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    algorithms: [none]\n",
        f"8: issuers[0].algorithms[0]: {ALGORITHMS}",
    ),
    "a signature with a shared key": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    algorithms: [RS256, HS256]\n",
        f"8: issuers[0].algorithms[1]: {ALGORITHMS}",
    ),
    "no signature algorithms": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    algorithms: []\n",
        "8: issuers[0].algorithms: must not be empty",
    ),
    "a clock that may be an hour off": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n    clock_skew_seconds: 3600\n",
        "8: issuers[0].clock_skew_seconds: must be at most 300",
    ),
    "the same issuer twice": (
        "login.example.org/jwks\n",
        "login.example.org/jwks\n  - {issuer: https://login.example.org, audiences: [a], jwks_url: https://b/c}\n",
        "8: issuers[1].issuer: is the same as issuers[0].issuer",
    ),
    "no issuer": (
        LEAST[LEAST.index("issuers:") :],
        "issuers: []\n",
        "4: issuers: must name at least one issuer, or smart_server must be given",
    ),
    "an item without a value": (
        "[https://fhir.example.org/r4]",
        "[null]",
        "6: issuers[0].audiences[0]: has no value; give it one or leave it out",
    ),
}


@pytest.mark.requirement("G-1")
@pytest.mark.parametrize(("old", "new", "problem"), REPLACED.values(), ids=REPLACED)
def test_a_change_is_refused_with_its_line_and_a_sentence(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert LEAST.count(old) == 1
    assert problems(tmp_path, LEAST.replace(old, new)) == [in_file(problem)]
