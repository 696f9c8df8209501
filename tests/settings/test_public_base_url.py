"""Problems in the public base URL, and where http:// is allowed."""

from pathlib import Path

import pytest

from tests.settings.configuration import HTTPS, LEAST, in_file, load, problems

# Replaced in the least configuration: the old text, the new one, and the only problem.
REPLACED = {
    "a public URL in the clear": ("https://fhir.example.org/r4\nup", "http://a/r4\nup", f"1: public_base_url: {HTTPS}"),
    "a public URL with a slash at the end": (
        "https://fhir.example.org/r4\nup",
        "https://a/r4/\nup",
        "1: public_base_url: must not end with a slash",
    ),
    "a public URL with a query": (
        "https://fhir.example.org/r4\nup",
        "https://a/r4?x=1\nup",
        "1: public_base_url: must not have a query (?)",
    ),
    "a public URL with a fragment": (
        "https://fhir.example.org/r4\nup",
        '"https://a/r4#x"\nup',
        "1: public_base_url: must not have a fragment (#)",
    ),
    "a public URL with a password": (
        "https://fhir.example.org/r4\nup",
        "https://a:b@c/r4\nup",
        "1: public_base_url: must not hold a user name or password",
    ),
    "a public URL without a scheme": (
        "https://fhir.example.org/r4\nup",
        "fhir.example.org\nup",
        "1: public_base_url: must be an absolute URL that starts with https:// or http://",
    ),
    "a public URL with capitals in its host": (
        "https://fhir.example.org/r4\nup",
        "https://FHIR.example.org\nup",
        "1: public_base_url: must name its host in lower case",
    ),
    "a public URL with an impossible port": (
        "https://fhir.example.org/r4\nup",
        "https://a:99999/r4\nup",
        "1: public_base_url: must be a URL with a host, and with a port up to 65535 if any",
    ),
    "a public URL with a space": (
        "https://fhir.example.org/r4\nup",
        "https://a/r 4\nup",
        "1: public_base_url: must be a URL of visible ASCII characters, without spaces",
    ),
    "no public URL": (
        "public_base_url: https://fhir.example.org/r4\n",
        "",
        "0: public_base_url: is required",
    ),
}


@pytest.mark.requirement("G-1")
@pytest.mark.parametrize(("old", "new", "problem"), REPLACED.values(), ids=REPLACED)
def test_a_change_is_refused_with_its_line_and_a_sentence(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert LEAST.count(old) == 1
    assert problems(tmp_path, LEAST.replace(old, new)) == [in_file(problem)]


def test_development_allows_http_on_this_machine_and_any_origin(tmp_path: Path) -> None:
    text = LEAST.replace("https://fhir.example.org/r4\nup", "http://localhost:8080/r4\nup")
    text = text.replace("https://login.example.org/jwks", "http://127.0.0.1:9000/jwks")
    assert load(tmp_path, f'{text}development: true\ncors: {{allowed_origins: ["*"]}}\n').development


@pytest.mark.parametrize("host", ["fhir.example.org", "localhost.example.org", "10.0.0.1", "128.0.0.1", "0.0.0.0"])
def test_development_allows_http_on_no_other_machine(tmp_path: Path, host: str) -> None:
    text = LEAST.replace("https://fhir.example.org/r4\nup", f"http://{host}/r4\nup")
    assert problems(tmp_path, f"{text}development: true\n") == [
        "gateway.yaml:1: public_base_url: must start with https://, or name a loopback host such as localhost"
    ]
