"""Problems in the settings of the FHIR server."""

from pathlib import Path

import pytest

from tests.settings.configuration import LEAST, in_file, problems

# Replaced in the least configuration: the old text, the new one, and the only problem.
REPLACED = {
    "a gateway in front of itself": (
        "http://fhir.internal:8080/fhir",
        "https://fhir.example.org/r4",
        "3: upstream.base_url: must not be public_base_url: the gateway would call itself",
    ),
    "certificates for a connection without TLS": (
        "8080/fhir\n",
        "8080/fhir\n  tls: {ca_file: /etc/passwd}\n",
        "4: upstream.tls: is of no use, because upstream.base_url starts with http://",
    ),
    "a certificate without its key": (
        "http://fhir.internal:8080/fhir\n",
        "https://f/fhir\n  tls: {client_certificate_file: /etc/passwd}\n",
        "4: upstream.tls: needs client_certificate_file and client_key_file, both or neither",
    ),
    "a certificate file that is not there": (
        "http://fhir.internal:8080/fhir\n",
        "https://f/fhir\n  tls: {ca_file: /nowhere.pem}\n",
        "4: upstream.tls.ca_file: must be the path of a file that exists",
    ),
    "an unknown kind of authentication": (
        "8080/fhir\n",
        "8080/fhir\n  authentication: {kind: magic}\n",
        "4: upstream.authentication.kind: must be one of 'none', 'basic', 'bearer', 'client_credentials'",
    ),
    "authentication without a kind": (
        "8080/fhir\n",
        "8080/fhir\n  authentication: {token: abc}\n",
        "4: upstream.authentication.kind: is required",
    ),
    "authentication without its secret": (
        "8080/fhir\n",
        "8080/fhir\n  authentication: {kind: bearer}\n",
        "4: upstream.authentication.token: is required",
    ),
    "authentication with the setting of another kind": (
        "8080/fhir\n",
        "8080/fhir\n  authentication:\n    kind: bearer\n    token: abc\n    username: a\n",
        "7: upstream.authentication.username: is not a setting of this kind",
    ),
    "a user name that cannot be sent": (
        "8080/fhir\n",
        "8080/fhir\n  authentication: {kind: basic, username: 'a:b', password: c}\n",
        "4: upstream.authentication.username: must not hold a colon, which Basic authentication cannot carry",
    ),
    "a deadline within a shorter one": (
        "8080/fhir\n",
        "8080/fhir\n  pool: {read_timeout_seconds: 61}\n",
        "4: upstream.pool.read_timeout_seconds: must not be longer than total_timeout_seconds",
    ),
    "an alias that is no base": (
        "8080/fhir\n",
        "8080/fhir\n  aliases: ['https://clinic.example/fhir', 'https://clinic.example/fhir?x=1']\n",
        "4: upstream.aliases[1]: must not have a query (?)",
    ),
    "a search parameter that R4 has": (
        "8080/fhir\n",
        "8080/fhir\n  extra_search_parameters: {Patient: {name: string}}\n",
        "4: upstream.extra_search_parameters.Patient.name: is defined by R4 for Patient already",
    ),
    "a search parameter of no type": (
        "8080/fhir\n",
        "8080/fhir\n  extra_search_parameters: {Patient: {nick: text}}\n",
        "4: upstream.extra_search_parameters.Patient.nick: must be 'number', 'date', 'string', 'token', 'reference', "
        "'composite', 'quantity', 'uri' or 'special'",
    ),
    "a search parameter with a modifier": (
        "8080/fhir\n",
        "8080/fhir\n  extra_search_parameters: {Patient: {'nick:exact': string}}\n",
        "4: upstream.extra_search_parameters.Patient.nick:exact: must be the name of a search parameter: letters, "
        "digits, - and _",
    ),
}


@pytest.mark.requirement("G-1")
@pytest.mark.parametrize(("old", "new", "problem"), REPLACED.values(), ids=REPLACED)
def test_a_change_is_refused_with_its_line_and_a_sentence(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert LEAST.count(old) == 1
    assert problems(tmp_path, LEAST.replace(old, new)) == [in_file(problem)]
