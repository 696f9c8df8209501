"""The authorization request: every check before a person is asked anything (checklist 1.5, edge cases 7-20, 27-28)."""

from dataclasses import dataclass
from typing import NoReturn

from gateway.oauth import pkce
from gateway.oauth.audience import is_our_base
from gateway.oauth.client import Client, GrantType
from gateway.oauth.errors import ErrorCode, PageError, RedirectError
from gateway.oauth.granting import MAX_SCOPES, weight
from gateway.oauth.parameters import Parameters
from gateway.scopes.model import LaunchScope, Scope
from gateway.scopes.parse import ScopeError, parse_scopes
from gateway.scopes.unparse import unparse

MAX_STATE = 4096
MAX_NONCE = 1024
_OURS = ("response_type", "scope", "state", "aud", "resource", "launch", "code_challenge", "code_challenge_method",
         "nonce", "prompt", "max_age", "login_hint")  # fmt: skip
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be put before a person. `scope` holds what was understood, `max_age` is in seconds."""

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

    def denied(self, code: ErrorCode, description: str) -> RedirectError:
        """The answer to the app where it ends without a code."""
        return RedirectError(code, description, redirect_uri=self.redirect_uri, state=self.state)


def trusted_redirect(parameters: Parameters, client: Client | None) -> str:
    """The redirect URI of this request, if it is the client's own. Raises `PageError`: nobody is redirected else."""
    repeated = parameters.repeated_among(("client_id", "redirect_uri"))
    if repeated is not None:
        raise PageError("parameter_repeated", f"The app's request holds {repeated} more than once.")
    if parameters.get("client_id") is None:
        raise PageError("client_missing", "The app's request does not say which app it comes from (client_id).")
    if client is None or client.disabled:
        raise PageError("client_unknown", "No app of this client_id is registered here.")
    uri = parameters.get("redirect_uri")
    if uri is None:
        raise PageError("redirect_uri_missing", "The app's request does not say where its answer goes (redirect_uri).")
    if uri not in client.redirect_uris:
        raise PageError(
            "redirect_uri_not_registered",
            "The app wants its answer at an address that is not registered for it, so that nothing was sent there.",
        )
    return uri


def read_authorization_request(parameters: Parameters, client: Client | None, base: str) -> AuthorizationRequest:
    """The request, if all of it holds. `base` is our FHIR base URL. Raises `PageError` or `RedirectError`."""
    redirect_uri = trusted_redirect(parameters, client)
    assert client is not None
    return _Reading(parameters, client, redirect_uri).request(base)


class _Reading:
    """One request as it is read: every refusal from here on goes to the app."""

    def __init__(self, parameters: Parameters, client: Client, redirect_uri: str) -> None:
        self._parameters = parameters
        self._client = client
        self._redirect_uri = redirect_uri

    def request(self, base: str) -> AuthorizationRequest:
        get = self._parameters.get
        repeated = self._parameters.repeated_among(_OURS)
        if repeated is not None:
            self._refuse(ErrorCode.INVALID_REQUEST, f"The parameter {repeated} came more than once.")
        response_type = self._needed("response_type")
        if response_type != "code":
            self._refuse(ErrorCode.UNSUPPORTED_RESPONSE_TYPE, "The only response_type is code.")
        if GrantType.AUTHORIZATION_CODE not in self._client.grant_types:
            self._refuse(ErrorCode.UNAUTHORIZED_CLIENT, "This client may not use the authorization code grant.")
        state = self._state()
        audience = self._audience(base)
        challenge = self._challenge()
        scopes = self._scopes()
        launch = get("launch")
        wants_launch = LaunchScope() in scopes
        if wants_launch and launch is None:
            self._refuse(ErrorCode.INVALID_REQUEST, "The scope launch needs the parameter launch of an EHR launch.")
        if launch is not None and not wants_launch:
            self._refuse(ErrorCode.INVALID_REQUEST, "The parameter launch needs the scope launch.")
        return AuthorizationRequest(
            client_id=self._client.client_id,
            redirect_uri=self._redirect_uri,
            scope=unparse(scopes),
            audience=audience,
            state=state,
            code_challenge=challenge,
            launch=launch,
            nonce=self._nonce(),
            prompt=self._prompt(),
            max_age=self._max_age(),
            login_hint=(get("login_hint") or "")[:200],
        )

    def _refuse(self, code: ErrorCode, description: str) -> NoReturn:
        state = self._parameters.get("state")
        raise RedirectError(code, description, redirect_uri=self._redirect_uri, state=state)

    def _needed(self, name: str) -> str:
        value = self._parameters.get(name)
        if value is None:
            self._refuse(ErrorCode.INVALID_REQUEST, f"The parameter {name} is missing.")
        return value

    def _state(self) -> str | None:
        state = self._needed("state") if self._client.require_state else self._parameters.get("state")
        if state is not None and len(state) > MAX_STATE:
            self._refuse(ErrorCode.INVALID_REQUEST, f"The parameter state is longer than {MAX_STATE} characters.")
        return state

    def _nonce(self) -> str | None:
        nonce = self._parameters.get("nonce")
        if nonce is not None and len(nonce) > MAX_NONCE:
            self._refuse(ErrorCode.INVALID_REQUEST, f"The parameter nonce is longer than {MAX_NONCE} characters.")
        return nonce

    def _audience(self, base: str) -> str:
        """`aud`, or `resource` (RFC 8707); both only where they agree (edge cases 12-15)."""
        resource = self._parameters.get("resource")
        audience = self._parameters.get("aud") or resource or self._needed("aud")
        if resource is not None and not is_our_base(resource, base):
            self._refuse(ErrorCode.INVALID_TARGET, "The parameter resource is not the FHIR server that is served here.")
        if not is_our_base(audience, base):
            self._refuse(ErrorCode.INVALID_REQUEST, "The parameter aud is not the FHIR server that is served here.")
        return base

    def _challenge(self) -> str | None:
        challenge, method = self._parameters.get("code_challenge"), self._parameters.get("code_challenge_method")
        if challenge is None and method is None and not self._client.require_pkce:
            return None
        challenge = self._needed("code_challenge")
        if method != pkce.METHOD:
            self._refuse(ErrorCode.INVALID_REQUEST, "The code_challenge_method must be S256.")
        if not pkce.is_challenge(challenge):
            self._refuse(ErrorCode.INVALID_REQUEST, "The code_challenge is no SHA-256 in base64url without padding.")
        return challenge

    def _scopes(self) -> tuple[Scope, ...]:
        text = self._needed("scope")
        if any(not " " <= one <= "~" for one in text):
            self._refuse(ErrorCode.INVALID_SCOPE, "The scope holds a character that no scope has (RFC 6749 3.3).")
        try:
            parsed = parse_scopes(text)
        except ScopeError as error:
            self._refuse(ErrorCode.INVALID_SCOPE, str(error))
        if parsed.refused and self._client.strict_scopes:
            self._refuse(ErrorCode.INVALID_SCOPE, str(parsed.refused[0]))
        if weight(parsed.scopes) > MAX_SCOPES:
            self._refuse(ErrorCode.INVALID_SCOPE, f"More than {MAX_SCOPES} scopes, or constraints of scopes.")
        if not parsed.scopes:
            self._refuse(ErrorCode.INVALID_SCOPE, "None of the scopes is known here.")
        return parsed.scopes

    def _prompt(self) -> frozenset[str]:
        prompt = frozenset((self._parameters.get("prompt") or "").split(" ")) - {""}
        if not prompt <= _PROMPTS or ("none" in prompt and len(prompt) > 1):
            self._refuse(ErrorCode.INVALID_REQUEST, "The parameter prompt has values that do not go together.")
        return prompt

    def _max_age(self) -> int | None:
        text = self._parameters.get("max_age")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            self._refuse(ErrorCode.INVALID_REQUEST, "The parameter max_age is no number of seconds.")
        return int(text)
