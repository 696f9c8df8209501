"""The routes of the SMART server: which endpoint answers at which path, and how its errors are presented."""

from starlette.routing import BaseRoute, Mount, Route, Router

from gateway.smart_server.admin.admin_door import AdminDoor
from gateway.smart_server.admin.client_administration import ClientAdministration
from gateway.smart_server.admin.configuration_administration import ConfigurationAdministration
from gateway.smart_server.admin.grant_administration import GrantAdministration
from gateway.smart_server.admin.token_administration import TokenAdministration
from gateway.smart_server.admin.user_administration import UserAdministration
from gateway.smart_server.administration.client_registration import ClientRegistration
from gateway.smart_server.authorize.authorization_flow import AuthorizationFlow
from gateway.smart_server.authorize.authorize_endpoint import AuthorizeEndpoint
from gateway.smart_server.authorize.form_handlers import FormHandlers
from gateway.smart_server.authorize.login_session import LoginSessions
from gateway.smart_server.authorize.password_login import PasswordLogin
from gateway.smart_server.background_refresh import BackgroundRefresh
from gateway.smart_server.cookies import Cookies
from gateway.smart_server.dependencies import Dependencies
from gateway.smart_server.discovery_documents import DiscoveryDocuments
from gateway.smart_server.error_responses import Endpoint, html_errors, json_errors, json_errors_with_cors, recorded
from gateway.smart_server.launch.aidbox_launch import AidboxLaunch
from gateway.smart_server.launch.launch_endpoint import LaunchEndpoint
from gateway.smart_server.launch.launch_redirect import LaunchRedirectEndpoint
from gateway.smart_server.launch.launch_service import LaunchService
from gateway.smart_server.launch.medplum_launch import MedplumLaunch
from gateway.smart_server.pages import LOGO_PATH
from gateway.smart_server.portal.app_gallery import AppGalleryEndpoint
from gateway.smart_server.portal.granted_access import GrantedAccessEndpoint
from gateway.smart_server.portal.portal_login import PortalLoginEndpoint
from gateway.smart_server.portal.start_page import StartPage
from gateway.smart_server.provider_login.backchannel_logout import BackchannelLogoutEndpoint
from gateway.smart_server.provider_login.login_for_app import LoginForApp
from gateway.smart_server.provider_login.login_for_portal import LoginForPortal
from gateway.smart_server.registration.registration_endpoint import RegistrationEndpoint
from gateway.smart_server.token.client_authenticator import ClientAuthenticator
from gateway.smart_server.token.introspection_endpoint import IntrospectionEndpoint
from gateway.smart_server.token.revocation_endpoint import RevocationEndpoint
from gateway.smart_server.token.token_endpoint import TokenEndpoint
from gateway.telemetry.server_event import EventKind

_STEP = "/authorize/{transaction}"


class SmartServerRoutes:
    """Builds the endpoints and their routes."""

    def __init__(self, dependencies: Dependencies, background_refresh: BackgroundRefresh) -> None:
        self._dependencies = dependencies
        self._background_refresh = background_refresh
        self._cookies = Cookies(
            dependencies.uses_https,
            is_embedded=bool(dependencies.pages.frame_ancestors),
            users=dependencies.users,
            clock=dependencies.now,
        )
        self._launches = LaunchService(dependencies)
        self._registration = ClientRegistration(dependencies)
        self.start_page = StartPage(dependencies)

    def routes(self, issuer_path: str, base_path: str) -> list[BaseRoute]:
        """The routes of the whole server. Medplum's launch is below the FHIR base, Aidbox's at the root.

        The mount of the issuer comes last, because an issuer without a path matches every path.
        """
        below_issuer = [
            *self._authorization_routes(),
            *self._token_routes(),
            *self._launch_routes(),
            *self._admin_routes(),
        ]
        return [
            *self._vendor_launch_routes(base_path),
            *self._start_routes(issuer_path),
            # A redirect that adds a slash would be a 307, and the browser would send the form again (edge case 22).
            Mount(issuer_path, Router(below_issuer, redirect_slashes=False)),
        ]

    def _start_routes(self, issuer_path: str) -> list[BaseRoute]:
        """The start page, at the root of the host and of the issuer."""
        paths = dict.fromkeys(("/", issuer_path or "/", f"{issuer_path}/"))
        return [Route(path, self.start_page.show, methods=["GET"]) for path in paths]

    def _authorization_routes(self) -> list[BaseRoute]:
        """The pages: authorization requests, login, and the portal of signed-in users."""
        dependencies, cookies = self._dependencies, self._cookies
        password_login, login_sessions = PasswordLogin(dependencies, cookies), LoginSessions(dependencies, cookies)
        flow = AuthorizationFlow(dependencies, cookies)
        authorize = AuthorizeEndpoint(dependencies, cookies, flow)
        forms = FormHandlers(dependencies, flow, password_login, login_sessions)
        portal_login = PortalLoginEndpoint(dependencies, cookies, password_login, login_sessions)
        provider_login_for_portal = LoginForPortal(dependencies, cookies, login_sessions)
        provider_login = LoginForApp(dependencies, cookies, flow, forms, provider_login_for_portal)
        return [
            self._html("/authorize", authorize.start_request, "GET", "POST", refusal=EventKind.AUTHORIZATION_REFUSED),
            self._html(_STEP, authorize.show_step, "GET", refusal=EventKind.AUTHORIZATION_REFUSED),
            self._html(f"{_STEP}/login", forms.submit_login, "POST", refusal=EventKind.AUTHORIZATION_REFUSED),
            self._html(
                f"{_STEP}/provider/{{index:int}}",
                provider_login.redirect_to_provider,
                "GET",
                refusal=EventKind.AUTHORIZATION_REFUSED,
            ),
            self._html("/signed-in", provider_login.handle_callback, "GET", refusal=EventKind.SIGN_IN_FAILED),
            self._html(
                "/signed-in/{place:int}", provider_login.handle_callback, "GET", refusal=EventKind.SIGN_IN_FAILED
            ),
            self._html(f"{_STEP}/switch-user", forms.switch_user, "POST", refusal=EventKind.AUTHORIZATION_REFUSED),
            self._html(f"{_STEP}/patient", authorize.search_patients, "GET", refusal=EventKind.AUTHORIZATION_REFUSED),
            self._html(f"{_STEP}/patient", forms.submit_patient, "POST", refusal=EventKind.AUTHORIZATION_REFUSED),
            self._html(f"{_STEP}/encounter", forms.submit_encounter, "POST", refusal=EventKind.AUTHORIZATION_REFUSED),
            self._html(f"{_STEP}/consent", forms.submit_consent, "POST", refusal=EventKind.AUTHORIZATION_REFUSED),
            *(
                # Where a page stands that a form was posted to: its address may be opened again.
                self._html(
                    f"{_STEP}/{form}", authorize.return_to_request, "GET", refusal=EventKind.AUTHORIZATION_REFUSED
                )
                for form in ("login", "switch-user", "encounter", "consent")
            ),
            self._html("/sign-in", portal_login.sign_in, "GET", "POST", refusal=EventKind.SIGN_IN_FAILED),
            self._html(
                "/sign-in/provider/{index:int}",
                provider_login_for_portal.redirect_to_provider,
                "GET",
                refusal=EventKind.SIGN_IN_FAILED,
            ),
            self._html("/sign-out", portal_login.sign_out, "POST", refusal=EventKind.REQUEST_REFUSED),
            self._html(
                "/apps",
                AppGalleryEndpoint(dependencies, cookies, self._launches).handle,
                "GET",
                "POST",
                refusal=EventKind.LAUNCH_REFUSED,
            ),
            self._html(LOGO_PATH, dependencies.pages.send_logo, "GET", refusal=EventKind.REQUEST_REFUSED),
            self._html(
                "/manage",
                GrantedAccessEndpoint(dependencies, cookies).handle,
                "GET",
                "POST",
                refusal=EventKind.REQUEST_REFUSED,
            ),
        ]

    def _token_routes(self) -> list[BaseRoute]:
        documents = DiscoveryDocuments(self._dependencies)
        authenticator = ClientAuthenticator(self._dependencies)
        introspection = IntrospectionEndpoint(self._dependencies, authenticator)
        revocation = RevocationEndpoint(self._dependencies, authenticator)
        return [
            self._json(
                "/.well-known/openid-configuration",
                documents.openid_configuration,
                "GET",
                "OPTIONS",
                refusal=EventKind.REQUEST_REFUSED,
            ),
            self._json("/jwks", documents.jwks, "GET", "OPTIONS", refusal=EventKind.REQUEST_REFUSED),
            self._json_with_cors(
                "/token", TokenEndpoint(self._dependencies, authenticator).issue_tokens, refusal=EventKind.TOKEN_REFUSED
            ),
            self._json_with_cors("/introspect", introspection.introspect, refusal=EventKind.INTROSPECTION_REFUSED),
            self._json_with_cors("/revoke", revocation.revoke, refusal=EventKind.REVOCATION_REFUSED),
            self._json(
                "/backchannel-logout",
                BackchannelLogoutEndpoint(self._dependencies).log_out,
                "POST",
                refusal=EventKind.PROVIDER_LOGOUT_REFUSED,
            ),
        ]

    def _launch_routes(self) -> list[BaseRoute]:
        endpoint = LaunchEndpoint(self._dependencies, self._launches)
        redirect = LaunchRedirectEndpoint(self._dependencies, self._cookies)
        return [
            self._json("/launch", endpoint.launch, "POST", refusal=EventKind.LAUNCH_REFUSED),
            self._html("/launch/{opening}", redirect.redirect, "GET", refusal=EventKind.LAUNCH_REFUSED),
        ]

    def _vendor_launch_routes(self, base_path: str) -> list[BaseRoute]:
        medplum = MedplumLaunch(self._dependencies, self._launches, self._cookies)
        aidbox = AidboxLaunch(self._dependencies, self._launches)
        application = f"{base_path}/ClientApplication"
        return [
            self._json(
                f"{application}/{{client_id:path}}/$smart-launch",
                medplum.launch,
                "GET",
                "POST",
                refusal=EventKind.LAUNCH_REFUSED,
            ),
            self._json(f"{application}/$smart-launch", medplum.launch, "GET", "POST", refusal=EventKind.LAUNCH_REFUSED),
            self._json("/rpc", aidbox.call, "POST", refusal=EventKind.LAUNCH_REFUSED),
        ]

    def _admin_routes(self) -> list[BaseRoute]:
        """The admin API and, if the settings allow it, client registration."""
        door = AdminDoor(self._dependencies)
        clients = ClientAdministration(self._dependencies, self._registration)
        users, grants = UserAdministration(self._dependencies), GrantAdministration(self._dependencies)
        tokens = TokenAdministration(self._dependencies)
        configuration = ConfigurationAdministration(self._dependencies)

        def admin(path: str, endpoint: Endpoint, *methods: str) -> Route:
            return self._json(f"/admin{path}", door.protect(endpoint), *methods, refusal=EventKind.ADMIN_REFUSED)

        routes: list[BaseRoute] = [
            admin("/clients", clients.clients, "GET", "POST"),
            admin("/clients/{client_id:path}", clients.client, "GET", "PATCH", "DELETE"),
            admin("/users", users.users, "GET", "POST"),
            admin("/users/disable", users.disable, "POST"),
            admin("/users/enable", users.enable, "POST"),
            admin("/users/remove", users.remove, "POST"),
            admin("/users/password", users.set_password, "POST"),
            admin("/sessions/end", users.end_sessions, "POST"),
            admin("/grants", grants.grants, "GET"),
            admin("/grants/end", grants.end, "POST"),
            admin("/token", tokens.explain_token, "POST"),
            admin("/keys/rotate", tokens.rotate_keys, "POST"),
            admin("/configuration", configuration.show, "GET"),
            admin("/configuration/reload", configuration.reload, "POST"),
            admin("/configuration/rollback", configuration.roll_back, "POST"),
        ]
        if self._dependencies.allows_registration:
            registration = RegistrationEndpoint(self._dependencies, self._registration)
            routes.append(
                self._json("/register", registration.register, "POST", refusal=EventKind.REGISTRATION_REFUSED)
            )
        return routes

    def _html(self, path: str, endpoint: Endpoint, *methods: str, refusal: EventKind) -> Route:
        return self._route(
            path,
            html_errors(endpoint, self._dependencies.pages),
            methods,
            refusal,
        )

    def _json(self, path: str, endpoint: Endpoint, *methods: str, refusal: EventKind) -> Route:
        return self._route(path, json_errors(endpoint), methods, refusal)

    def _json_with_cors(self, path: str, endpoint: Endpoint, *, refusal: EventKind) -> Route:
        def all_origins() -> frozenset[str]:
            return self._background_refresh.registered_origins(None)

        return self._route(path, json_errors_with_cors(path, endpoint, all_origins), ("POST", "OPTIONS"), refusal)

    def _route(self, path: str, endpoint: Endpoint, methods: tuple[str, ...], refusal: EventKind) -> Route:
        """The route; `refusal` is the event of what it refuses."""
        return Route(path, recorded(endpoint, refusal, self._dependencies.events), methods=methods)
