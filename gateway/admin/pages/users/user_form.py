"""The form in which an operator adds a local user."""

from dataclasses import replace
from typing import Any

from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.pages.form_problems import FormProblems, assign_problems
from gateway.admin.pages.users.user_pages import ADD, SHOW
from gateway.admin.pages.visit import USERS, Visit, address
from gateway.pages.admin.parts import Field
from gateway.pages.admin.views import FormView
from gateway.pages.views import PageLink
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.page_language import gettext

_NAMES = ("name", "username", "fhir_user", "roles", "password")


class UserForm:
    """Shows the form, and adds who was filled in."""

    def __init__(self, administration: Administration) -> None:
        self._users = administration.users

    async def ask(self, visit: Visit) -> Response:
        """GET: the empty form."""
        return self._form(visit, {}, FormProblems(), 200)

    async def add(self, visit: Visit) -> Response:
        """POST: the user, or the form with what is wrong beside each field. A password is typed again."""
        values = {name: visit.field(name) if name == "password" else visit.field(name).strip() for name in _NAMES}
        members: dict[str, Any] = {name: value for name, value in values.items() if value}
        if values["roles"]:
            members["roles"] = values["roles"].split()
        if not values["password"]:
            return self._form(visit, values, FormProblems({"password": "must not be empty"}), 400)
        try:
            username = await self._users.add(members)
        except AdminRequestError as error:
            return self._form(visit, values, assign_problems(error.problems, _NAMES), error.status)
        return visit.done(address(SHOW, user=username), "user-added")

    def _form(self, visit: Visit, values: dict[str, str], problems: FormProblems, status: int) -> Response:
        fields = (
            Field("name", gettext("Name"), help=gettext("As apps and other people see it."), is_required=True),
            Field("username", gettext("User name"), help=gettext("To sign in with."), is_required=True, is_code=True),
            Field("password", gettext("Password"), "password", is_required=True),
            Field(
                "fhir_user",
                gettext("Own record"),
                help=gettext("Such as Practitioner/123. Without one, they can grant no access to records."),
                is_code=True,
            ),
            Field(
                "roles",
                gettext("Roles"),
                help=gettext("Words with spaces between them, which rules about records may name."),
                is_code=True,
            ),
        )
        filled = tuple(
            replace(
                field,
                value="" if field.kind == "password" else values.get(field.name, ""),
                problem=problems.by_field.get(field.name, ""),
            )
            for field in fields
        )
        view = FormView(
            visit.frame,
            gettext("Add a user"),
            ADD,
            filled,
            gettext("Add"),
            PageLink(USERS, gettext("Cancel")),
            gettext("Somebody who signs in here with a password, and grants access to apps."),
            gettext("The user is not added yet. Please correct what is marked.") if problems else "",
            details=problems.others,
        )
        return visit.show(view, status)
