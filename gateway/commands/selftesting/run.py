"""One self-test: the checks in their order, and the removal of what was made for them, however it ends."""

import contextlib
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from gateway.commands.selftesting.attempts import Subjects
from gateway.commands.selftesting.browser import Browser
from gateway.commands.selftesting.canaries import Canaries, FhirStore
from gateway.commands.selftesting.check_results import CheckError, CheckResults, describe_failure
from gateway.commands.selftesting.checks.authorization_checks import check_authorization_requests, check_backend
from gateway.commands.selftesting.checks.discovery_checks import check_discovery
from gateway.commands.selftesting.checks.header_checks import check_headers
from gateway.commands.selftesting.checks.launch_checks import check_launches
from gateway.commands.selftesting.checks.record_checks import RecordChecks
from gateway.commands.selftesting.checks.refusal_checks import check_refusals
from gateway.commands.selftesting.checks.token_checks import check_tokens
from gateway.commands.selftesting.checks.upstream_checks import check_upstream
from gateway.commands.selftesting.patient_session import PatientSession
from gateway.commands.selftesting.smart_app import Endpoints, SmartApp, granted_token
from gateway.commands.selftesting.temporary_accounts import TemporaryAccounts
from gateway.commands.selftesting.web import Web

CLEAN_UP = "clean-up"
_WITH_CANARIES = ("launch", "tokens", "granular", "writes", "leaks")
_STORE_SCOPE = "system/*.cruds"
# Before it ends: the shortest that an access token lives by default is five minutes.
_STORE_TOKEN_SECONDS = 60.0


class SelfTestError(Exception):
    """The self-test cannot be made. The message is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is tested, and what the self-test may use for it.

    `base` is the public FHIR base, `address` where this machine reaches it if not there. `upstream` is the FHIR server
    behind, which is asked with `upstream_headers`. `seconds` bounds each request; `patience` is how many seconds other
    processes of the gateway may take to know of a change.
    """

    base: str
    address: str | None = None
    admin_url: str | None = None
    admin_token: str | None = field(default=None, repr=False)
    upstream: str | None = None
    upstream_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    seconds: float = 20.0
    patience: float = 20.0


class SelfTest:
    """Checks a target. What it makes has the word `run` in its names and its tag."""

    def __init__(self, target: Target, results: CheckResults) -> None:
        """Raises `SelfTestError` if the file with the certificate authorities cannot be used."""
        self._target = target
        self._results = results
        self.run = secrets.token_hex(6)
        try:
            authorities = ssl.create_default_context(cafile=target.ca_file)
        except OSError as error:
            raise SelfTestError(f"{target.ca_file}: cannot be used: {error}") from error
        self._web = Web(target.base, target.address, authorities, target.seconds, target.patience)
        self._accounts: TemporaryAccounts | None = None
        self._canaries: Canaries | None = None
        self._subjects: Subjects | None = None

    def check(self, *, is_short: bool, before_removal: Callable[[], None] = lambda: None) -> None:
        """Make the checks: those without users and records, or all. Then what was made is removed, however they ended.

        `before_removal` is called when it begins. Raises `SelfTestError` if nobody answers.
        """
        with contextlib.closing(self._web):
            self._ask_whether_somebody_answers()
            try:
                self._check(is_short=is_short)
            finally:
                before_removal()
                self._clean_up()

    def _ask_whether_somebody_answers(self) -> None:
        try:
            self._web.request("GET", f"{self._target.base}/metadata")
        except httpx2.HTTPError as error:
            where = self._target.address or self._target.base
            raise SelfTestError(f"The gateway at {where} does not answer: {describe_failure(error)}") from error

    def _check(self, *, is_short: bool) -> None:
        target, results, web = self._target, self._results, self._web
        has_admin = target.admin_token is not None
        endpoints = check_discovery(results, web, target.base, has_admin=has_admin)
        admin_url = target.admin_url or (f"{endpoints.issuer}/admin" if endpoints is not None else "")
        check_refusals(results, web, target.base, endpoints, admin_url)
        check_headers(results, web, target.base, endpoints)
        is_open = False
        if target.upstream is not None:
            is_open = check_upstream(results, web, target.base, target.upstream)
        if endpoints is None or target.admin_token is None:
            why = "no admin token is given" if endpoints is not None else "the gateway has no SMART server of its own"
            self._skip("authorization", *(() if is_short else _WITH_CANARIES), why=why)
            return
        accounts = TemporaryAccounts(web, endpoints, admin_url, target.admin_token, self.run)
        self._accounts = accounts
        check_backend(results, web, accounts, target.base)
        apps = self._add_apps(accounts)
        if apps is None:
            self._skip(*(() if is_short else _WITH_CANARIES), why="there are no apps")
            return
        check_authorization_requests(results, web, apps[0])
        if not is_short:
            self._check_with_canaries(endpoints, accounts, apps, uses_upstream=is_open or bool(target.upstream_headers))

    def _add_apps(self, accounts: TemporaryAccounts) -> tuple[SmartApp, SmartApp] | None:
        """Two apps for users; None if they are not registered."""
        with self._results.check("authorization", "two apps for users are registered for the test"):
            return accounts.add_app("app"), accounts.add_app("other", skip_consent=True)
        return None

    def _check_with_canaries(
        self, endpoints: Endpoints, accounts: TemporaryAccounts, apps: tuple[SmartApp, SmartApp], *, uses_upstream: bool
    ) -> None:
        target, results, web = self._target, self._results, self._web
        sessions: list[PatientSession] = []
        with results.check(
            "canaries",
            "two patients with marked records, and users for them, are made for the test",
            "Where nobody may write through the gateway, give --upstream, with its headers where it needs them.",
        ):
            store = self._open_store(endpoints, accounts, uses_upstream=uses_upstream)
            self._canaries = Canaries(store, self.run)
            self._subjects = self._canaries.create(target.base)
            for name, patient in (("a", self._subjects.a), ("b", self._subjects.b)):
                sessions.append(PatientSession(Browser(web), *accounts.add_user(name, f"Patient/{patient}")))
        if self._canaries is None or self._subjects is None or len(sessions) != 2:
            self._skip(*_WITH_CANARIES, why="there are no canary patients")
            return
        check_launches(results, web, apps, sessions[0], self._subjects.a)
        check_tokens(results, web, (apps[1], apps[0]), sessions[0], self._subjects.a)
        records = RecordChecks(results, web, apps[1], sessions[0], sessions[1], self._canaries, self._subjects)
        records.check_granular()
        records.check_writes()
        records.check_leaks()

    def _skip(self, *families: str, why: str) -> None:
        for family in families:
            self._results.skip(family, "all checks of this kind", why)

    def _open_store(self, endpoints: Endpoints, accounts: TemporaryAccounts, *, uses_upstream: bool) -> FhirStore:
        """Where the canaries are made: at the FHIR server itself if it lets us, else through the gateway."""
        target = self._target
        if target.upstream is not None and uses_upstream:
            return FhirStore(self._web, target.upstream, lambda: target.upstream_headers)
        backend = accounts.add_backend("canaries", _STORE_SCOPE)
        token, requested_at = "", 0.0

        def headers() -> Mapping[str, str]:
            nonlocal token, requested_at
            if not token or time.monotonic() - requested_at > _STORE_TOKEN_SECONDS:
                token, requested_at = granted_token(backend.request_token(_STORE_SCOPE)), time.monotonic()
            return {"authorization": f"Bearer {token}"}

        return FhirStore(self._web, endpoints.base, headers)

    def _clean_up(self) -> None:
        """Records first: their removal may need an app of the test."""
        if self._canaries is not None:
            canaries, subjects = self._canaries, self._subjects
            self._check_removed("the canary patients and their records are removed", lambda: canaries.remove(subjects))
        if self._accounts is not None:
            self._check_removed("the apps and users of the test are removed", self._accounts.remove_all)

    def _check_removed(self, sentence: str, remove: Callable[[], list[str]]) -> None:
        with self._results.check(CLEAN_UP, sentence, "Remove by hand what is named."):
            left = remove()
            if left:
                raise CheckError("left behind: " + "; ".join(left))
