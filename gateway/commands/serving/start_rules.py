"""What must hold beside valid settings for the gateway to start: files that can be read, a store that is one.

`check-config` and `serve` use the same rules, so that the one says what the other does.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.certificates.certificate_files import read_certificates
from gateway.certificates.server_context import server_context
from gateway.credentials.jwk_set import parse_jwk_set
from gateway.credentials.signing_key import SigningKeyError, parse_key
from gateway.fhir.resources.brand_bundle import check_brand_bundle
from gateway.pages.logo_file import check_logo
from gateway.policy.decision.certain_decisions import find_broken_decisions
from gateway.settings.enforcement.shadow import find_distant_ends
from gateway.settings.loading.valid_parts import Rule
from gateway.settings.model import Settings
from gateway.settings.section import Conflict, SettingPath
from gateway.storage.backends.open_store import MEMORY_URL, open_store
from gateway.telemetry.tracing.build import can_encode_spans
from gateway.upstream.server_address import ServerAddress
from gateway.upstream.tls import tls_context


def _try(path: SettingPath, action: Callable[[], object]) -> Iterator[Conflict]:
    """The error of an action as a problem of a setting."""
    try:
        action()
    except OSError as error:
        yield Conflict(path, f"cannot be used: {(error.strerror or 'it cannot be read').lower()}")
    except (ValueError, SigningKeyError) as error:
        yield Conflict(path, f"cannot be used: {str(error).removesuffix('.')}")


def _store(settings: Settings) -> Iterator[Conflict]:
    smart_server = settings.smart_server
    if smart_server is not None:
        url, ca_file = smart_server.store.get_secret_value(), smart_server.store_ca_file
        problems = list(_try(("smart_server", "store"), lambda: _open_store(url, None)))
        yield from problems or _try(("smart_server", "store_ca_file"), lambda: _open_store(url, ca_file))


def _open_store(url: str, ca_file: Path | None) -> None:
    """Nothing is connected. Raises `StoreUrlError`."""
    open_store(url, ca_file=None if ca_file is None else str(ca_file))


def shared_store_rule(workers: int) -> Rule:
    """The rule that several workers of one gateway share a store."""

    def shared_store(settings: Settings) -> Iterator[Conflict]:
        smart_server = settings.smart_server
        if workers > 1 and smart_server is not None and smart_server.store.get_secret_value() == MEMORY_URL:
            yield Conflict(
                ("smart_server", "store"),
                f"is {MEMORY_URL}, which each worker would have for itself: --workers {workers} needs a Redis",
            )

    return shared_store


def _signing_key(settings: Settings) -> Iterator[Conflict]:
    file = settings.smart_server.signing_key_file if settings.smart_server is not None else None
    if file is not None:
        yield from _try(("smart_server", "signing_key_file"), lambda: parse_key(file.read_bytes()))


def _logo(settings: Settings) -> Iterator[Conflict]:
    file = settings.smart_server.branding.logo if settings.smart_server is not None else None
    if file is not None:
        yield from _try(("smart_server", "branding", "logo"), lambda: check_logo(file.read_bytes()))


def _brands(settings: Settings) -> Iterator[Conflict]:
    brands = settings.user_access_brands
    if brands is not None:
        identifier = brands.identifier.identifier() if brands.identifier is not None else None
        yield from _try(
            ("user_access_brands", "bundle"),
            lambda: check_brand_bundle(brands.bundle.read_bytes(), identifier, settings.public_base_url),
        )


def _upstream_address(settings: Settings) -> Iterator[Conflict]:
    yield from _try(("upstream", "base_url"), lambda: ServerAddress.parse(settings.upstream.base_url))


def _own_certificate(settings: Settings) -> Iterator[Conflict]:
    tls = settings.listen.tls
    if tls is not None:
        yield from _try(("listen", "tls"), lambda: server_context(tls))


def _authorities_of_apps(settings: Settings) -> Iterator[Conflict]:
    certificates = settings.listen.client_certificates
    file = None if certificates is None else certificates.authorities_file
    if file is not None:
        yield from _try(("listen", "client_certificates", "authorities_file"), lambda: read_certificates(file))


def _upstream_certificates(settings: Settings) -> Iterator[Conflict]:
    tls = settings.upstream.tls
    given = (tls.ca_file, tls.client_certificate_file, tls.client_key_file)
    if any(given):
        ca_file, certificate_file, key_file = (None if file is None else str(file) for file in given)
        yield from _try(
            ("upstream", "tls"),
            lambda: tls_context(ca_file=ca_file, certificate_file=certificate_file, key_file=key_file),
        )


def _issuer_keys(settings: Settings) -> Iterator[Conflict]:
    for index, issuer in enumerate(settings.issuers):
        file = getattr(issuer, "jwks_file", None)
        if file is not None:
            yield from _try(("issuers", index, "jwks_file"), lambda file=file: _require_keys(file))  # type: ignore[misc]  # a lambda has no types


def _require_keys(file: Path) -> None:
    if not parse_jwk_set(file.read_bytes()).keys:
        raise ValueError("it holds no public RSA or EC key that may verify signatures")


def _audit_file(settings: Settings) -> Iterator[Conflict]:
    path = settings.audit.path()
    if path is not None:
        yield from _try(("audit", "destination"), lambda: _require_writable(path))


def _audit_events(settings: Settings) -> Iterator[Conflict]:
    events = settings.audit.events
    if events is None:
        return
    yield from _try(("audit", "events", "spool"), lambda: _require_folder(events.spool))
    file = events.file
    if file is not None:
        yield from _try(("audit", "events", "file"), lambda: _require_writable(file))


def _require_folder(path: Path) -> None:
    """Raises `ValueError` if no files can be made in the folder. It is not created here."""
    existing = path if path.exists() else path.parent
    if not existing.is_dir():
        raise ValueError("it is no directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError("no file can be created in it")


def _require_writable(path: Path) -> None:
    """Raises `OSError` if the file cannot be appended to or created. It is not created here."""
    try:
        path.stat()
    except FileNotFoundError:
        if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
            raise ValueError("no file can be created in its directory") from None
        return
    if path.is_dir():
        raise ValueError("it is a directory")
    if not os.access(path, os.W_OK):
        raise ValueError("it cannot be written to")


def _site_rules(settings: Settings) -> Iterator[Conflict]:
    yield from _try(("record_rules", "site_rules"), settings.record_rules.rules)


def _tracing(settings: Settings) -> Iterator[Conflict]:
    tracing = settings.tracing
    if tracing is None:
        return
    if not can_encode_spans():
        yield Conflict(("tracing",), "needs packages that are not installed: pip install 'smart-fhir-gateway[otel]'")
    file = tracing.ca_file
    if file is not None:
        yield from _try(("tracing", "ca_file"), lambda: read_certificates(file))


def _certain_decisions(settings: Settings) -> Iterator[Conflict]:
    try:
        rules = settings.rules()
    except ValueError:
        # A rule of the site that cannot be loaded, which `_site_rules` reports.
        return
    for sentence in find_broken_decisions(rules):
        yield Conflict((), f"this configuration breaks what must always hold: {sentence}")


def _shadow_ends(settings: Settings) -> Iterator[Conflict]:
    yield from find_distant_ends(settings, time.time())


START_RULES: tuple[Rule, ...] = (
    _store,
    _signing_key,
    _logo,
    _brands,
    _upstream_address,
    _own_certificate,
    _authorities_of_apps,
    _upstream_certificates,
    _issuer_keys,
    _audit_file,
    _audit_events,
    _site_rules,
    _tracing,
    _certain_decisions,
    _shadow_ends,
)
