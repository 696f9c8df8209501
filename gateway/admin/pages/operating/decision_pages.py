"""The pages of decisions: the last ones about requests to the FHIR server, and why one was made."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from gateway.admin.administration import Administration
from gateway.admin.pages.clients import client_pages
from gateway.admin.pages.visit import DECISIONS, Visit, address
from gateway.pages.admin.parts import Badge, Cell, Choice, Fact, Field, Search, Section, Table
from gateway.pages.admin.views import DetailView, ListView
from gateway.pages.views import PageLink
from gateway.policy.reasons import Reason
from gateway.smart_server.administration.admin_error import AdminRequestError
from gateway.smart_server.page_language import gettext

SHOW = f"{DECISIONS}/show"
_LISTED = 50
# What the table of a decision shows of its audit line beside the explanation.
_FIELDS = ("request_id", "issuer", "subject", "trace_id", "configuration")


class DecisionPages:
    """Shows decisions, and explains them as `smart-gateway explain --decision` does."""

    def __init__(self, administration: Administration) -> None:
        self._decisions = administration.decisions

    async def list(self, visit: Visit) -> Response:
        """GET: the last decisions, of one app or of all."""
        client, only = visit.query("client"), visit.query("only")
        decisions = self._decisions.recent(_LISTED, client=client or None, refused_only=only == "refused")
        columns = (gettext("Decision"), gettext("Request"), gettext("App"), gettext("Outcome"))
        empty = gettext(
            "No such decision is remembered. This gateway remembers the latest since it started; the audit log has all "
            "of them."
        )
        table = Table(gettext("Decisions"), columns, tuple(map(_row, decisions)), empty)
        choices = (Choice("", gettext("All")), Choice("refused", gettext("Refused requests")))
        fields = (
            Field("client", gettext("App (client_id)"), "search", client, is_code=True),
            Field("only", gettext("Show"), "select", only if only == "refused" else "", choices=choices),
        )
        view = ListView(
            visit.frame,
            gettext("Decisions"),
            gettext("The latest requests to the FHIR server that went through this gateway, and what became of them."),
            table,
            Search(DECISIONS, fields, gettext("Search")),
            other_search=_lookup(""),
            other_title=gettext("Why was this refused?"),
        )
        return visit.show(view)

    async def show(self, visit: Visit) -> Response:
        """GET: one decision by its id, explained."""
        decision_id, back = visit.query("id"), PageLink(DECISIONS, gettext("Decisions"))
        try:
            explained = self._decisions.explain(decision_id)
        except AdminRequestError:
            problem = gettext(
                "This gateway does not remember a decision of this id. Check the id; an older decision is in the audit "
                "log, and is explained by: smart-gateway explain --decision"
            )
            title = gettext("Why was this refused?")
            view = DetailView(visit.frame, title, (), problem=problem, search=_lookup(decision_id), back=back)
            return visit.show(view, 404)
        explanation, fields = explained.explanation, explained.fields
        helps = tuple(remedy for remedy in explanation.remedies if remedy)
        client_id = str(fields.get("client_id") or "")
        view = DetailView(
            visit.frame,
            gettext("Decision %(id)s", id=decision_id),
            (),
            badges=(_badge(fields),),
            sections=(
                *((Section(gettext("What would help"), sentences=helps),) if helps else ()),
                Section(
                    gettext("Explained"),
                    gettext("By the rules that are in force now, from the audit line alone."),
                    facts=tuple(Fact(line.label, (Cell(line.text),), is_english=True) for line in explanation.lines),
                ),
                Section(
                    gettext("From the audit line"),
                    facts=(
                        *((_client_fact(client_id),) if client_id else ()),
                        *(Fact(name, (Cell(str(fields[name]), is_code=True),)) for name in _FIELDS if fields.get(name)),
                    ),
                ),
            ),
            back=back,
        )
        return visit.show(view)


def _lookup(decision_id: str) -> Search:
    help_text = gettext(
        "The answer to the app has it as X-Decision-ID and in its OperationOutcome, the audit line as decision_id."
    )
    field = Field("id", gettext("Decision id"), "search", decision_id, help_text, is_code=True)
    return Search(SHOW, (field,), gettext("Explain"))


def _row(fields: Mapping[str, Any]) -> tuple[Cell, ...]:
    decision_id = str(fields.get("decision_id", ""))
    words = (fields.get("interaction"), fields.get("resource_type"), fields.get("operation"))
    return (
        Cell(decision_id, str(fields.get("time", "")), address(SHOW, id=decision_id), is_code=True),
        Cell(str(fields.get("method", "")), " ".join(str(word) for word in words if word)),
        Cell(str(fields.get("client_id") or ""), is_code=True),
        Cell(str(fields.get("status", "")), str(fields.get("reason", "")), badge=_badge(fields)),
    )


def _badge(fields: Mapping[str, Any]) -> Badge:
    if fields.get("reason") == Reason.PERMITTED.value:
        return Badge(gettext("Permitted"), "good")
    return Badge(gettext("Refused"), "bad")


def _client_fact(client_id: str) -> Fact:
    return Fact(gettext("App"), (Cell(client_id, href=address(client_pages.SHOW, id=client_id), is_code=True),))
