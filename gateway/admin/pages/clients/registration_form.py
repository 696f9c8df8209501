"""The form in which an operator registers an app."""

import secrets
from dataclasses import replace
from typing import Any

import orjson
from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.pages.clients.client_pages import SHOW, show_secret
from gateway.admin.pages.form_problems import FormProblems, assign_problems
from gateway.admin.pages.visit import CLIENTS, Visit, address
from gateway.languages.language import gettext_noop
from gateway.pages.admin.parts import Choice, Field
from gateway.pages.admin.views import FormView
from gateway.pages.views import PageLink
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.page_language import gettext

REGISTER = f"{CLIENTS}/register"
_TYPES = (
    ("public", gettext_noop("Public"), gettext_noop("It runs in a browser or on a device, and can keep no secret.")),
    (
        "confidential-symmetric",
        gettext_noop("With a secret"),
        gettext_noop("It has a server. The secret is made here, and shown once."),
    ),
    (
        "confidential-asymmetric",
        gettext_noop("With a key of its own"),
        gettext_noop("It has a server, and publishes its key. This is the strongest of the three."),
    ),
)
_LISTS = ("redirect_uris", "launch_uris")
_TEXTS = ("client_id", "name", "type", "purpose", "scopes", "jwks_uri", "policy", "terms")
_TICKS = ("backend", "no_refresh", "skip_consent")
_BACKEND = ["client_credentials"]


class RegistrationForm:
    """Shows the form, and registers what was filled in."""

    def __init__(self, administration: Administration) -> None:
        self._clients = administration.clients

    async def ask(self, visit: Visit) -> Response:
        """GET: the empty form."""
        return self._form(visit, {"type": "public", "new_id": secrets.token_urlsafe(16)}, FormProblems(), 200)

    async def register(self, visit: Visit) -> Response:
        """POST: the registration, or the form with what is wrong beside each field."""
        values = {name: visit.field(name).strip() for name in (*_LISTS, *_TEXTS, *_TICKS, "jwks", "new_id")}
        try:
            registered = await self._clients.register(_members(values))
        except AdminRequestError as error:
            return self._form(visit, values, _assign(error.problems), error.status)
        client_id = str(registered.entry["client_id"])
        if registered.secret is not None:
            return show_secret(visit, client_id, values["name"], registered.secret)
        return visit.done(address(SHOW, id=client_id), "client-registered")

    def _form(self, visit: Visit, values: dict[str, str], problems: FormProblems, status: int) -> Response:
        problem = gettext("The app is not registered yet. Please correct what is marked.") if problems else ""
        view = FormView(
            visit.frame,
            gettext("Register an app"),
            REGISTER,
            _fields(values, problems),
            gettext("Register"),
            PageLink(CLIENTS, gettext("Cancel")),
            gettext("An app that users may give access to, or a service that works without users."),
            problem,
            (("new_id", values.get("new_id", "")),),
            problems.others,
        )
        return visit.show(view, status)


def _members(values: dict[str, str]) -> dict[str, Any]:
    """The members of the entry. Raises `AdminRequestError` for keys that are no JSON."""
    members: dict[str, Any] = {name: values[name] for name in _TEXTS if values[name]}
    # The id that the page brought along: a form that is sent twice registers one app.
    members = {"client_id": values["new_id"]} | members if values["new_id"] else members
    members |= {name: values[name].split() for name in _LISTS if values[name]}
    if values["jwks"]:
        try:
            members["jwks"] = orjson.loads(values["jwks"])
        except ValueError as error:
            raise AdminRequestError(400, "jwks: must be a JWK Set in JSON") from error
    if values["backend"]:
        members["grant_types"] = _BACKEND
    if values["no_refresh"]:
        members["may_refresh"] = False
    if values["skip_consent"]:
        members["skip_consent"] = True
    return members


def _assign(problems: tuple[str, ...]) -> FormProblems:
    return assign_problems(
        tuple(
            problem.replace("grant_types: ", "backend: ", 1).replace("may_refresh: ", "no_refresh: ", 1)
            for problem in problems
        ),
        (*_LISTS, *_TEXTS, *_TICKS, "jwks"),
    )


def _fields(values: dict[str, str], problems: FormProblems) -> tuple[Field, ...]:
    """The fields, with what was filled in and what is wrong with it."""
    types = tuple(Choice(value, gettext(text), gettext(detail)) for value, text, detail in _TYPES)
    lines = gettext("One in each line, each as the app sends it, character by character.")
    fields = (
        Field("name", gettext("Name"), help=gettext("As users see it."), is_required=True),
        Field("purpose", gettext("Purpose"), help=gettext("In a sentence for its users.")),
        Field("type", gettext("How it authenticates"), "choice", choices=types, is_required=True),
        Field("redirect_uris", gettext("Redirect addresses"), "area", help=lines, is_code=True),
        Field(
            "launch_uris",
            gettext("Launch addresses"),
            "area",
            help=gettext("Where a health record system opens the app; one in each line."),
            is_code=True,
        ),
        Field(
            "scopes",
            gettext("The most it may be granted"),
            "area",
            help=gettext("Scopes with spaces between them. Without any, users may grant whatever they have."),
            is_code=True,
        ),
        Field("jwks_uri", gettext("Address of its keys"), help=gettext("For an app with a key of its own.")),
        Field(
            "jwks",
            gettext("Or its public keys"),
            "area",
            help=gettext("A JWK Set in JSON, for an app that cannot publish its keys."),
            is_code=True,
        ),
        Field(
            "backend",
            gettext("It works without users"),
            "tick",
            help=gettext("A backend service: it needs a key, and scopes that begin with system/."),
        ),
        Field(
            "no_refresh",
            gettext("It may not keep access while nobody is signed in"),
            "tick",
            help=gettext("It gets no refresh tokens."),
        ),
        Field(
            "skip_consent",
            gettext("Without a consent page"),
            "tick",
            help=gettext("Only for apps that your own organisation is responsible for."),
        ),
        Field("policy", gettext("Address of its privacy policy")),
        Field("terms", gettext("Address of its terms of use")),
        Field("client_id", gettext("client_id"), help=gettext("Without one, it is made here."), is_code=True),
    )
    return tuple(
        replace(field, value=values.get(field.name, ""), problem=problems.by_field.get(field.name, ""))
        for field in fields
    )
