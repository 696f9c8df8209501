"""Reads authorization requests, with every check that needs no user (checklist 1.5, edge cases 7-20, 27-28)."""

from dataclasses import dataclass
from typing import NoReturn

from gateway.languages.language import gettext_noop
from gateway.oauth import pkce
from gateway.oauth.audience import is_fhir_base_url
from gateway.oauth.client.client import Client, GrantType
from gateway.oauth.client.redirect_uri import is_registered
from gateway.oauth.errors import ErrorCode, PageError, RedirectError
from gateway.oauth.parameters import Parameters
from gateway.oauth.scope_limits import ScopeLimits
from gateway.scopes.format_scopes import format_scopes
from gateway.scopes.model import LaunchScope, Scope
from gateway.scopes.parse_scopes import ScopeError

MAX_STATE = 4096
MAX_NONCE = 1024
_PARAMETERS = (
    "response_type", "response_mode", "scope", "state", "aud", "resource", "launch", "code_challenge",
    "code_challenge_method", "nonce", "prompt", "max_age", "login_hint", "ui_locales",
)  # fmt: skip
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A valid request. `scope` has only the scopes that were understood, `max_age` is in seconds."""

    client_id: str
    redirect_uri: str
    scope: str
    audience: str
    state: str | None = None
    code_challenge: str | None = None
    launch: str | None = None
    nonce: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    login_hint: str = ""
    ui_locales: str = ""

    def error(self, code: ErrorCode, description: str) -> RedirectError:
        """The error response to the app."""
        return RedirectError(code, description, redirect_uri=self.redirect_uri, state=self.state)


_REPEATED = {
    "client_id": gettext_noop("The app's request has client_id more than once."),
    "redirect_uri": gettext_noop("The app's request has redirect_uri more than once."),
}


def unusable_request(reason: str, problem: str) -> PageError:
    """The page of an app's request that cannot be answered to the app, with what the user can do."""
    return PageError(
        reason,
        problem,
        title=gettext_noop("The app cannot be connected"),
        advice=gettext_noop("Nothing was shared. Only those who make or run the app can mend this: please tell them."),
    )


def check_redirect_uri(parameters: Parameters, client: Client | None) -> str:
    """The redirect URI, if it is registered for the client. Raises `PageError`, since a redirect would not be safe."""
    repeated = parameters.first_repeated(tuple(_REPEATED))
    if repeated is not None:
        raise unusable_request("parameter_repeated", _REPEATED[repeated])
    if parameters.get("client_id") is None:
        raise unusable_request("client_missing", "The app's request does not say which app it comes from (client_id).")
    if client is None or client.disabled:
        raise unusable_request("client_unknown", "No app of this client_id is registered here.")
    uri = parameters.get("redirect_uri")
    if uri is None:
        raise unusable_request(
            "redirect_uri_missing", "The app's request does not say where to send the response (redirect_uri)."
        )
    if not is_registered(uri, client.redirect_uris):
        raise unusable_request(
            "redirect_uri_not_registered",
            "The app asked for a response to an address that is not registered for it. Nothing was sent there.",
        )
    return uri


def read_authorization_request(
    parameters: Parameters, client: Client | None, base: str, scope_limits: ScopeLimits
) -> AuthorizationRequest:
    """The request, if it is valid. `base` is our FHIR base URL. Raises `PageError` or `RedirectError`."""
    redirect_uri = check_redirect_uri(parameters, client)
    assert client is not None
    return _RequestReader(parameters, client, redirect_uri, scope_limits).read(base)


class _RequestReader:
    """Reads a request whose redirect URI is valid. Every error goes to the app."""

    def __init__(self, parameters: Parameters, client: Client, redirect_uri: str, scope_limits: ScopeLimits) -> None:
        self._parameters = parameters
        self._client = client
        self._redirect_uri = redirect_uri
        self._scope_limits = scope_limits

    def read(self, base: str) -> AuthorizationRequest:
        get = self._parameters.get
        repeated = self._parameters.first_repeated(_PARAMETERS)
        if repeated is not None:
            self._refuse(ErrorCode.INVALID_REQUEST, f"The parameter {repeated} occurs more than once.")
        response_type = self._require("response_type")
        if response_type != "code":
            self._refuse(ErrorCode.UNSUPPORTED_RESPONSE_TYPE, "The response_type must be code.")
        # Another mode than that of `code` would send the response where the app does not look (OAuth Multiple Response
        # Types 2.1; form_post: OAuth Form Post Response Mode).
        if get("response_mode") not in {None, "query"}:
            self._refuse(ErrorCode.INVALID_REQUEST, "The response_mode must be query.")
        if GrantType.AUTHORIZATION_CODE not in self._client.grant_types:
            self._refuse(ErrorCode.UNAUTHORIZED_CLIENT, "This client may not use the authorization code grant.")
        state = self._read_state()
        audience = self._read_audience(base)
        challenge = self._read_code_challenge()
        scopes = self._read_scopes()
        launch = get("launch")
        wants_launch = LaunchScope() in scopes
        if wants_launch and launch is None:
            self._refuse(ErrorCode.INVALID_REQUEST, "The scope launch needs the parameter launch of an EHR launch.")
        if launch is not None and not wants_launch:
            self._refuse(ErrorCode.INVALID_REQUEST, "The parameter launch needs the scope launch.")
        return AuthorizationRequest(
            client_id=self._client.client_id,
            redirect_uri=self._redirect_uri,
            scope=format_scopes(scopes),
            audience=audience,
            state=state,
            code_challenge=challenge,
            launch=launch,
            nonce=self._read_nonce(),
            prompt=self._read_prompt(),
            max_age=self._read_max_age(),
            login_hint=(get("login_hint") or "")[:200],
            ui_locales=(get("ui_locales") or "")[:200],
        )

    def _refuse(self, code: ErrorCode, description: str) -> NoReturn:
        state = self._parameters.get("state")
        raise RedirectError(code, description, redirect_uri=self._redirect_uri, state=state)

    def _require(self, name: str) -> str:
        value = self._parameters.get(name)
        if value is None:
            self._refuse(ErrorCode.INVALID_REQUEST, f"The parameter {name} is missing.")
        return value

    def _read_state(self) -> str | None:
        state = self._require("state") if self._client.require_state else self._parameters.get("state")
        if state is not None and len(state) > MAX_STATE:
            self._refuse(ErrorCode.INVALID_REQUEST, f"The parameter state is longer than {MAX_STATE} characters.")
        return state

    def _read_nonce(self) -> str | None:
        nonce = self._parameters.get("nonce")
        if nonce is not None and len(nonce) > MAX_NONCE:
            self._refuse(ErrorCode.INVALID_REQUEST, f"The parameter nonce is longer than {MAX_NONCE} characters.")
        return nonce

    def _read_audience(self, base: str) -> str:
        """`aud` or `resource` (RFC 8707). If both are present, both must be valid (edge cases 12-15)."""
        resource = self._parameters.get("resource")
        audience = self._parameters.get("aud") or resource or self._require("aud")
        if resource is not None and not is_fhir_base_url(resource, base):
            self._refuse(ErrorCode.INVALID_TARGET, "The parameter resource is not the base URL of this FHIR server.")
        if not is_fhir_base_url(audience, base):
            self._refuse(ErrorCode.INVALID_REQUEST, "The parameter aud is not the base URL of this FHIR server.")
        return base

    def _read_code_challenge(self) -> str | None:
        challenge, method = self._parameters.get("code_challenge"), self._parameters.get("code_challenge_method")
        if challenge is None and method is None and not self._client.require_pkce:
            return None
        challenge = self._require("code_challenge")
        if method != pkce.METHOD:
            self._refuse(ErrorCode.INVALID_REQUEST, "The code_challenge_method must be S256.")
        if not pkce.is_challenge(challenge):
            self._refuse(
                ErrorCode.INVALID_REQUEST, "The code_challenge must be a SHA-256 digest in base64url without padding."
            )
        return challenge

    def _read_scopes(self) -> tuple[Scope, ...]:
        text = self._require("scope")
        if not text.isascii() or not text.isprintable():
            self._refuse(ErrorCode.INVALID_SCOPE, "The scope has a character that is not allowed there (RFC 6749 3.3).")
        try:
            parsed = self._scope_limits.parse(text)
        except ScopeError as error:
            self._refuse(ErrorCode.INVALID_SCOPE, str(error))
        if parsed.refused and self._client.strict_scopes:
            self._refuse(ErrorCode.INVALID_SCOPE, str(parsed.refused[0]))
        if not parsed.scopes:
            self._refuse(ErrorCode.INVALID_SCOPE, "None of the scopes is supported.")
        return parsed.scopes

    def _read_prompt(self) -> frozenset[str]:
        prompt = frozenset((self._parameters.get("prompt") or "").split(" ")) - {""}
        if not prompt <= _PROMPTS or ("none" in prompt and len(prompt) > 1):
            self._refuse(
                ErrorCode.INVALID_REQUEST,
                "The parameter prompt has an unknown value, or values that cannot be combined.",
            )
        return prompt

    def _read_max_age(self) -> int | None:
        text = self._parameters.get("max_age")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            self._refuse(ErrorCode.INVALID_REQUEST, "The parameter max_age must be a number of seconds.")
        return int(text)
