"""The public documents: whether they are there, agree with each other, and name nothing else than the gateway."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway.commands.selftesting.check_results import CheckError, CheckResults, SkippedCheck
from gateway.commands.selftesting.smart_app import Endpoints
from gateway.commands.selftesting.web import Answer, Web

FAMILY = "discovery"
_REQUIRED = ("token_endpoint", "capabilities", "code_challenge_methods_supported")
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
# Names in the extension, beside those of the SMART configuration.
_SAME_URL = {
    "authorize": "authorization_endpoint",
    "token": "token_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
    "manage": "management_endpoint",
    "register": "registration_endpoint",
}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def check_discovery(results: CheckResults, web: Web, base: str, *, has_admin: bool) -> Endpoints | None:
    """Check the documents. Returns where the gateway's own SMART server is; None where there is none.

    `has_admin`: an admin token was given, so that there must be one.
    """
    with results.check(FAMILY, "the FHIR base is reached by https, or is one of this machine"):
        _check_scheme(base)
    smart: dict[str, Any] = {}
    with results.check(FAMILY, "the SMART configuration names its endpoints, and S256 as the only challenge"):
        smart = _read_smart_configuration(web, base, has_admin=has_admin)
    with results.check(
        FAMILY,
        "the CapabilityStatement is public, of FHIR R4, and names the same endpoints",
        "Apps read one document or the other: ask `smart-gateway check-config`, and what stands before the gateway.",
    ):
        _check_capability_statement(_document(web, f"{base}/metadata"), smart)
    if not _is_own(smart):
        # What another server publishes is not the gateway's to answer for, and may not be reached from here.
        why = "another server issues the tokens" if smart else "there is no SMART configuration"
        results.skip(FAMILY, "the OpenID configuration agrees with the SMART configuration", why)
        return None
    issuer = smart["issuer"]
    web.add_published(issuer)
    with results.check(FAMILY, "the OpenID configuration agrees with the SMART configuration"):
        _check_openid_configuration(_document(web, f"{issuer}/.well-known/openid-configuration"), smart)
    with results.check(
        FAMILY, "the key set has public keys alone", "Replace these keys at once: `smart-gateway keys rotate --now`."
    ):
        _check_keys(_document(web, smart["jwks_uri"]))
    return Endpoints(
        base,
        issuer,
        smart["authorization_endpoint"],
        smart["token_endpoint"],
        smart.get("revocation_endpoint", ""),
        smart["jwks_uri"],
    )


def _is_own(smart: Mapping[str, Any]) -> bool:
    """Whether the endpoints lie below their issuer as those of the gateway's own SMART server do."""
    issuer, own = (
        smart.get("issuer"),
        {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"},
    )
    return all(smart.get(name) == f"{issuer}/{path}" for name, path in own.items())


def _check_scheme(base: str) -> None:
    parts = urlsplit(base)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise CheckError("tokens and records would pass in plain text", remedy="Serve https: see docs/certificates.md.")


def _document(web: Web, url: str) -> dict[str, Any]:
    return _json_object(web.request("GET", url))


def _json_object(answer: Answer) -> dict[str, Any]:
    body = answer.json()
    if answer.status != 200 or not isinstance(body, dict):
        raise CheckError(f"the answer is no JSON object, with the status {answer.status}", sent=answer.sent)
    return body


def _read_smart_configuration(web: Web, base: str, *, has_admin: bool) -> dict[str, Any]:
    answer = web.request("GET", f"{base}/.well-known/smart-configuration")
    # Without one, its address is a FHIR request like any other. Where it is only hidden, the CapabilityStatement tells.
    if answer.status in {401, 404} and not has_admin:
        raise SkippedCheck("there is none: no authorization server is configured")
    smart = _json_object(answer)
    missing = [name for name in _REQUIRED if name not in smart]
    if "issuer" in smart and "jwks_uri" not in smart:
        missing.append("jwks_uri")
    if missing:
        raise CheckError(f"there is no {', '.join(missing)}", sent=answer.sent)
    if smart["code_challenge_methods_supported"] != ["S256"]:
        raise CheckError("code_challenge_methods_supported is not S256 alone", sent=answer.sent)
    return smart


def _check_openid_configuration(openid: Mapping[str, Any], smart: Mapping[str, Any]) -> None:
    names = ("issuer", "jwks_uri", *(name for name in _SAME_URL.values() if name != "management_endpoint"))
    different = [name for name in names if openid.get(name) != smart.get(name)]
    if different:
        raise CheckError(f"the documents have different values for {', '.join(different)}")


def _check_keys(keys: Mapping[str, Any]) -> None:
    found = keys.get("keys")
    if not isinstance(found, list) or not found:
        raise CheckError("there are no keys")
    if any(_PRIVATE_MEMBERS & set(key) for key in found if isinstance(key, dict)):
        raise CheckError("a key has private members")


def _check_capability_statement(statement: Mapping[str, Any], smart: Mapping[str, Any]) -> None:
    if statement.get("resourceType") != "CapabilityStatement":
        raise CheckError("it is no CapabilityStatement")
    if not str(statement.get("fhirVersion", "")).startswith("4.0"):
        raise CheckError(f"its fhirVersion is {statement.get('fhirVersion')}")
    rest = statement.get("rest")
    security = rest[0].get("security", {}) if isinstance(rest, list) and rest and isinstance(rest[0], dict) else {}
    published = _oauth_uris(security)
    if smart and not published:
        raise CheckError("rest[0].security names no endpoints", remedy="Older apps find the endpoints only there.")
    different = [name for name, url in published.items() if smart.get(_SAME_URL.get(name, name)) != url]
    if different:
        raise CheckError(f"it has other URLs than the SMART configuration for {', '.join(different)}")


def _oauth_uris(security: Mapping[str, Any]) -> dict[str, str]:
    """The URLs in the extension, by their short names."""
    found: dict[str, str] = {}
    for extension in security.get("extension", ()):
        if extension.get("url") == _OAUTH_URIS:
            found |= {part["url"]: part.get("valueUri", "") for part in extension.get("extension", ())}
    return found
