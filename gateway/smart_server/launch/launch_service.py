"""EHR launches: authenticates launchers, checks the context and stores the launch for its app (checklist 1.6)."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeGuard

from starlette.requests import Request

from gateway.asgi.refusal import RequestRefused
from gateway.fhir.reference import parse_reference
from gateway.oauth.authorization import User
from gateway.oauth.client.client import Client, digest_secret
from gateway.oauth.client.redirect_uri import add_parameters
from gateway.oauth.launch_context import LaunchContext
from gateway.policy.permission.claims import USER_TYPES
from gateway.settings.authorization.smart_server import Launcher
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.events.request_events import note_claims
from gateway.smart_server.http_messages import remote_address
from gateway.smart_server.limits.guess_limits import LAUNCHER
from gateway.smart_server.limits.request_limits import LimitedRequest
from gateway.smart_server.limits.secret_checker import SecretChecker
from gateway.smart_server.limits.too_many_attempts import TooManyAttemptsError, describe_wait
from gateway.smart_server.openid_provider.id_token import provider_subject
from gateway.storage.launches import Launch, LaunchRedirect
from gateway.storage.tokens.opaque_tokens import TokenKind, new_opaque_token
from gateway.telemetry.server_event import EventKind

# Seconds. A launcher vouches for the user who is at the browser now, not for one who was there minutes ago
# (authorization.md).
VOUCHED_LAUNCH_LIFETIME = 60
GALLERY = "gallery"
"""The launcher of launches that a signed-in user starts."""
# From a handle and its lifetime in seconds to the value of `launch` that the app gets.
HandleEncoder = Callable[[str, int], str]


_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def _plain_handle(handle: str, _: int) -> str:
    return handle


class LaunchError(Exception):
    """The launch is refused. `status` is an HTTP status, `problems` are sentences for the launcher's developer.

    `headers` are header fields for the response.
    """

    def __init__(self, status: int, *problems: str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        super().__init__(" ".join(problems))
        self.status = status
        self.problems = problems
        self.headers = headers


def _too_many(what: str, error: TooManyAttemptsError) -> LaunchError:
    return LaunchError(429, f"{what} Please wait {describe_wait(error.retry_after)}.", headers=error.headers)


@dataclass(frozen=True, slots=True)
class PreparedLaunch:
    """A stored launch: the app's launch URI, the value of `launch`, and the URL to send the browser to."""

    launch_uri: str
    handle: str
    location: str


class LaunchService:
    """Creates launches for the launch endpoints and the app gallery."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._secret_checker = SecretChecker(dependencies.limits.secrets)
        self._provider_issuers = frozenset(provider.issuer for provider in dependencies.providers)

    async def create(
        self,
        client: Client,
        context: LaunchContext,
        *,
        launcher: str,
        user: User | None,
        vouched: bool = False,
        launch_uri: str | None = None,
        encode_handle: HandleEncoder = _plain_handle,
    ) -> PreparedLaunch:
        """Check the launch and store it under the encoded handle. Raises `LaunchError`."""
        uri = launch_uri or next(iter(client.launch_uris), None)
        if uri is None or uri not in client.launch_uris:
            raise LaunchError(400, "The app has no such launch URI registered.")
        # Only the provider tells which resource is that of its user. The patient is checked after the login.
        is_of_provider = user is not None and user.provider in self._provider_issuers
        await self._check_context(context, None if is_of_provider else user)
        launch = Launch(
            client_id=client.client_id,
            context=context,
            launcher=launcher,
            launched_at=self._dependencies.clock(),
            user=user,
            vouched=vouched and user is not None and not is_of_provider,
        )
        lifetime = VOUCHED_LAUNCH_LIFETIME if launch.vouched else self._dependencies.lifetimes.launch_seconds
        handle = encode_handle(new_opaque_token(TokenKind.LAUNCH), lifetime)
        await self._dependencies.storage.launches.put(handle, launch, lifetime)
        self._dependencies.record_event(
            EventKind.LAUNCHED,
            client_id=client.client_id,
            subject=user.subject if user is not None else None,
            patient=context.patient,
            reason=launcher,
        )
        location = add_parameters(uri, [("iss", self._dependencies.fhir_base_url), ("launch", handle)])
        if launch.vouched:
            location = await self._redirect_url(LaunchRedirect(handle, location), lifetime)
        return PreparedLaunch(uri, handle, location)

    async def _redirect_url(self, redirect: LaunchRedirect, lifetime: int) -> str:
        """A URL of the gateway that redirects to the app and binds the launch to the user's browser.

        The app learns the handle. Without the binding it could sign in as the user from any browser.
        """
        name = new_opaque_token(TokenKind.LAUNCH_REDIRECT)
        await self._dependencies.storage.launches.put_redirect(name, redirect, lifetime)
        return f"{self._dependencies.issuer}/launch/{name}"

    async def _check_context(self, context: LaunchContext, user: User | None) -> None:
        """Check that the user may see the patient, and that the encounter is that patient's (edge case 43)."""
        directory = self._dependencies.patient_directory
        try:
            if context.patient is not None and await directory.find_patient(user, context.patient) is None:
                raise LaunchError(400, "The patient of the launch is not on the FHIR server, or not for this user.")
            if context.encounter is None:
                return
            owner = await directory.find_patient_of_encounter(user, context.encounter)
        except RequestRefused as refused:
            raise LaunchError(503, "The FHIR server does not answer at the moment.") from refused
        if owner is None or owner != context.patient:
            raise LaunchError(400, "The encounter of the launch is not that patient's.")

    async def authenticate_launcher(self, request: Request) -> Launcher | None:
        """The launcher that authenticated by HTTP Basic.

        Raises `LaunchError` after too many wrong secrets, and for more launches than are allowed.
        """
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        note_claims(client_id=name)
        launcher = self._dependencies.launchers.get(name)
        secret_digest = digest_secret(launcher.client_secret.get_secret_value()) if launcher is not None else None
        # All invented names are one account, so that they leave no more in the store than one.
        account = name if launcher is not None else ""
        try:
            is_correct = await self._secret_checker.is_correct(LAUNCHER, account, secret, secret_digest, request)
        except TooManyAttemptsError as error:
            raise _too_many("Too many wrong secrets.", error) from error
        if launcher is None or not is_correct:
            return None
        await self.count_launch(request, f"launcher:{name}")
        return launcher

    async def count_launch(self, request: Request, who: str) -> None:
        """Count a launch by a launcher, or by a user (`GALLERY`). Raises `LaunchError` beyond the limit."""
        try:
            await self._dependencies.limits.requests.count(LimitedRequest.LAUNCH, remote_address(request), who)
        except TooManyAttemptsError as error:
            raise _too_many("Too many launches.", error) from error

    async def resolve_user(self, value: object, launcher: Launcher) -> User | None:
        """The user that the launcher names: by the name of a local user, or by an object.

        The object describes a user of the launcher, or names one of an OpenID provider by `provider` and `subject`:
        `iss` and `sub` of its id_tokens. Only who is that user may sign in for the launch.
        """
        if value is None:
            return None
        if isinstance(value, str) and _is_name(value):
            local_user = await self._dependencies.users.find(value)
            return await self._admit(
                local_user or User(f"{launcher.client_id}|{value}", value, provider=launcher.client_id)
            )
        if isinstance(value, Mapping) and "provider" in value:
            return await self._admit(self._read_provider_user(value))
        if isinstance(value, Mapping):
            subject, name, fhir_user = value.get("subject"), value.get("name"), value.get("fhirUser")
            if _is_name(subject) and (name is None or _is_name(name)):
                reference = None if fhir_user is None else self._read_fhir_user(fhir_user)
                return await self._admit(
                    User(f"{launcher.client_id}|{subject}", name or subject, reference, launcher.client_id)
                )
        raise LaunchError(400, "user must be a user name, or an object with subject, name and fhirUser.")

    def _read_provider_user(self, value: Mapping[str, object]) -> User:
        """The user of a provider, whose name and resource are known after the login. Raises `LaunchError`."""
        issuer, subject = value["provider"], value.get("subject")
        if set(value) != {"provider", "subject"} or not isinstance(subject, str) or not subject:
            raise LaunchError(400, "user of a provider must have the members provider and subject, and no others.")
        if not isinstance(issuer, str) or issuer not in self._provider_issuers:
            raise LaunchError(400, "user.provider must be the issuer of an identity provider of this server.")
        return User(provider_subject(issuer, subject), subject, provider=issuer)

    async def _admit(self, user: User) -> User:
        """The user, if they may sign in. Raises `LaunchError`."""
        admitted = await self._dependencies.users.admit(user)
        if admitted is None:
            raise LaunchError(400, "The user of the launch is disabled here.")
        return admitted

    def _read_fhir_user(self, fhir_user: object) -> str:
        """The user's own resource, relative to our base. Raises `LaunchError`."""
        bases = (self._dependencies.fhir_base_url,)
        parsed = parse_reference(fhir_user, bases) if isinstance(fhir_user, str) else None
        if parsed is None or parsed.resource_type not in USER_TYPES:
            raise LaunchError(400, "user.fhirUser must name a Patient, Practitioner or other person served here.")
        return f"{parsed.resource_type}/{parsed.id}"


def _is_name(value: object) -> TypeGuard[str]:
    """Whether it fits into a `sub` after the launcher's name (ID-7: at most 255 characters)."""
    return isinstance(value, str) and 0 < len(value) <= 150
