"""Every request of the R4 RESTful API is parsed into its Interaction. Refused methods name the allowed ones."""

import pytest

from gateway.fhir.query_limits import MAX_FORM, MAX_PARAMETERS, MAX_QUERY
from gateway.fhir.request.interaction import (
    BatchOrTransaction,
    BundleKind,
    Capabilities,
    CompartmentSearch,
    ConditionalHeaders,
    InstanceHistory,
    Interaction,
    Operation,
    OperationLevel,
    PagingLink,
    Read,
    SystemHistory,
    SystemSearch,
    TypeHistory,
    TypeSearch,
    VRead,
    Write,
    WriteKind,
)
from gateway.fhir.request_error import RequestProblem
from gateway.fhir.search.query import Query, SummaryMode
from tests.fhir.request.fhir_requests import FhirRequest, criterion, get, post

_BY_A = Query((criterion("patient", "A"),))
_CRITERIA = Query((criterion("identifier", "x|1"),))
_JSON = {"content-type": "application/fhir+json"}
_BATCH = '{"resourceType":"Bundle","type":"batch"}'

PARSED: list[tuple[str, FhirRequest, Interaction]] = [
    ("a read", get("/Observation/1"), Read("Observation", "1")),
    ("a HEAD is a read (107)", FhirRequest("HEAD", "/Observation/1"), Read("Observation", "1")),
    (
        "the conditional headers of a read are kept as written (leak_27)",
        get("/Observation/1", if_none_match='W/"1"', if_modified_since="Tue, 24 Nov 2026 10:00:00 GMT"),
        Read("Observation", "1", conditional_headers=ConditionalHeaders('W/"1"', "Tue, 24 Nov 2026 10:00:00 GMT")),
    ),
    (
        "one conditional header alone",
        get("/Patient/A", if_none_match="*"),
        Read("Patient", "A", Query(), ConditionalHeaders("*")),
    ),
    (
        "a read with _summary and _elements (leak_29)",
        get("/Patient/A?_summary=text&_elements=id,name"),
        Read("Patient", "A", Query(summary=SummaryMode.TEXT, elements=("id", "name"))),
    ),
    ("a vread is a read of a version (104)", get("/Observation/1/_history/2"), VRead("Observation", "1", "2")),
    ("an instance history (104)", get("/Observation/1/_history"), InstanceHistory("Observation", "1")),
    (
        "a history with _count, _since and _at",
        get("/Observation/1/_history?_count=5&_since=2024-05-01T10:00:00.5%2B02:00&_at=2024-05"),
        InstanceHistory("Observation", "1", Query(count=5, since="2024-05-01T10:00:00.5+02:00", at="2024-05")),
    ),
    ("a type history (104)", get("/Observation/_history?_count=0"), TypeHistory("Observation", Query(count=0))),
    ("a system history (104)", get("/_history"), SystemHistory()),
    (
        "a system history of some types",
        get("/_history?_type=Observation,Patient,Observation"),
        SystemHistory(Query(types=("Observation", "Patient"))),
    ),
    ("a search of everything of a type (106)", get("/Observation"), TypeSearch("Observation")),
    ("a question mark with nothing after it", get("/Observation?"), TypeSearch("Observation")),
    ("a search by HEAD", FhirRequest("HEAD", "/Observation?patient=A"), TypeSearch("Observation", _BY_A)),
    ("a search by POST is a search (105)", post("/Observation/_search", "patient=A"), TypeSearch("Observation", _BY_A)),
    (
        "query and form of a search by POST both count (105, leak_10)",
        post("/Observation/_search?patient=A", "patient=B"),
        TypeSearch("Observation", Query((criterion("patient", "A"), criterion("patient", "B")))),
    ),
    (
        "a form with a charset",
        post("/Observation/_search", "patient=A", content_type="Application/X-WWW-Form-URLEncoded; charset=UTF-8"),
        TypeSearch("Observation", _BY_A),
    ),
    (
        "a search by POST without a body",
        FhirRequest("POST", "/Observation/_search?patient=A"),
        TypeSearch("Observation", _BY_A),
    ),
    ("a compartment search (118)", get("/Patient/A/Observation"), CompartmentSearch("Patient", "A", "Observation")),
    (
        "a compartment search with criteria, by POST",
        post("/Encounter/e/Observation/_search", "patient=A"),
        CompartmentSearch("Encounter", "e", "Observation", _BY_A),
    ),
    ("a whole compartment (118)", get("/Patient/A/*"), CompartmentSearch("Patient", "A", "*")),
    (
        "some types of a compartment",
        get("/Patient/A/*?_type=Observation&_lastUpdated=gt2024"),
        CompartmentSearch("Patient", "A", "*", Query((criterion("_lastUpdated", "gt2024"),), types=("Observation",))),
    ),
    ("the base alone is a system search (leak_08)", get(""), SystemSearch()),
    ("the base with its slash", get("/"), SystemSearch()),
    (
        "a system search (105, leak_08)",
        get("/?_type=Observation,Condition&patient=A"),
        SystemSearch(Query((criterion("patient", "A"),), types=("Observation", "Condition"))),
    ),
    (
        "a system search by POST (105)",
        post("/_search", "_type=Observation"),
        SystemSearch(Query(types=("Observation",))),
    ),
    ("a sealed page (117, leak_07)", get("/?_page=abc-_.~9="), PagingLink("abc-_.~9=")),
    ("a sealed page below no slash", get("?_page=abc"), PagingLink("abc")),
    ("a sealed page as percent-encoded by a client", get("/?_page=abc%3D"), PagingLink("abc=")),
    ("the capabilities", get("/metadata"), Capabilities()),
    ("the capabilities in full", get("/metadata?mode=full&_format=json"), Capabilities()),
    ("a create", FhirRequest("POST", "/Observation", {}, "{}"), Write(WriteKind.CREATE, "Observation")),
    (
        "a conditional create",
        FhirRequest("POST", "/Patient", {"if-none-exist": "identifier=x%7C1"}, "{}"),
        Write(WriteKind.CREATE, "Patient", None, _CRITERIA),
    ),
    (
        "a Bundle posted to its type is a create (134)",
        FhirRequest("POST", "/Bundle", {}, "{}"),
        Write(WriteKind.CREATE, "Bundle"),
    ),
    ("an update", FhirRequest("PUT", "/Patient/A", {}, "{}"), Write(WriteKind.UPDATE, "Patient", "A")),
    (
        "a conditional update",
        FhirRequest("PUT", "/Patient?identifier=x|1", {}, "{}"),
        Write(WriteKind.UPDATE, "Patient", None, _CRITERIA),
    ),
    ("a patch", FhirRequest("PATCH", "/Patient/A", {}, "[]"), Write(WriteKind.PATCH, "Patient", "A")),
    (
        "a conditional patch (leak_13)",
        FhirRequest("PATCH", "/Patient?identifier=x|1", {}, "[]"),
        Write(WriteKind.PATCH, "Patient", None, _CRITERIA),
    ),
    ("a delete", FhirRequest("DELETE", "/Patient/A"), Write(WriteKind.DELETE, "Patient", "A")),
    (
        "a conditional delete",
        FhirRequest("DELETE", "/Patient?identifier=x|1&_format=json"),
        Write(WriteKind.DELETE, "Patient", None, _CRITERIA),
    ),
    ("a batch (132)", FhirRequest("POST", "/", _JSON, _BATCH), BatchOrTransaction(BundleKind.BATCH, ())),
    ("a batch below no slash", FhirRequest("POST", "", _JSON, _BATCH), BatchOrTransaction(BundleKind.BATCH, ())),
    (
        "an operation on an instance, with its parameters (135)",
        get("/Patient/A/$everything?_type=Observation&_format=json&start=2024"),
        Operation(OperationLevel.INSTANCE, "everything", "Patient", "A", (("_type", "Observation"), ("start", "2024"))),
    ),
    (
        "an operation on a type (leak_06)",
        get("/Patient/$everything"),
        Operation(OperationLevel.TYPE, "everything", "Patient"),
    ),
    (
        "an operation on the system (136, 137)",
        get("/$export-poll-status?_jobId=7"),
        Operation(OperationLevel.SYSTEM, "export-poll-status", None, None, (("_jobId", "7"),)),
    ),
    (
        "an operation by POST (134)",
        FhirRequest("POST", "/$process-message"),
        Operation(OperationLevel.SYSTEM, "process-message", method="POST"),
    ),
]


@pytest.mark.parametrize(("fhir_request", "interaction"), [row[1:] for row in PARSED], ids=[row[0] for row in PARSED])
def test_is_read_as_the_interaction_it_is(fhir_request: FhirRequest, interaction: Interaction) -> None:
    assert fhir_request.parse() == interaction


_R4_METHODS = {
    "/": ("GET", "HEAD", "POST"),
    "/metadata": ("GET", "HEAD"),
    "/_search": ("POST",),
    "/_history": ("GET", "HEAD"),
    "/$export": ("GET", "POST"),
    "/$export-status": ("GET", "HEAD", "DELETE"),
    "/$export-file": ("GET", "HEAD"),
    "/Patient": ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    "/Patient/_search": ("POST",),
    "/Patient/_history": ("GET", "HEAD"),
    "/Patient/$match": ("GET", "HEAD", "POST"),
    "/Patient/A": ("GET", "HEAD", "PUT", "PATCH", "DELETE"),
    "/Patient/A/_history": ("GET", "HEAD"),
    "/Patient/A/_history/1": ("GET", "HEAD"),
    "/Patient/A/$everything": ("GET", "HEAD", "POST"),
    "/Group/A/$export": ("GET", "POST"),
    "/Patient/A/Observation": ("GET", "HEAD"),
    "/Patient/A/*/_search": ("POST",),
}


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "get", "", "GET ", "POST", "DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize("path", _R4_METHODS)
def test_another_method_is_told_which_are_allowed(path: str, method: str) -> None:
    if method in _R4_METHODS[path]:
        return
    error = FhirRequest(method, path).parse_error()
    assert (error.problem, error.allowed_methods) == (RequestProblem.METHOD_NOT_ALLOWED, _R4_METHODS[path])


OVERRIDE, IN_QUERY, MALFORMED, MEDIA, LARGE, UNKNOWN = (
    RequestProblem.METHOD_OVERRIDE_REFUSED,
    RequestProblem.TOKEN_IN_QUERY,
    RequestProblem.QUERY_MALFORMED,
    RequestProblem.MEDIA_TYPE_UNSUPPORTED,
    RequestProblem.REQUEST_TOO_LARGE,
    RequestProblem.PARAMETER_UNKNOWN,
)
FORM_TYPE = "application/x-www-form-urlencoded"
REFUSED: list[tuple[str, FhirRequest, RequestProblem, str]] = [
    ("a method override header (121, leak_10)", get("/Patient", x_http_method_override="DELETE"),
     OVERRIDE, "x-http-method-override"),
    ("its second spelling", get("/Patient", x_method_override="GET"), OVERRIDE, "x-method-override"),
    ("its third spelling, empty", get("/Patient", x_http_method=""), OVERRIDE, "x-http-method"),
    ("a token in the query (121)", get("/Patient/A?access_token=x"), IN_QUERY, "access_token"),
    ("a token in the form (121)", post("/Patient/_search", "access_token=x"), IN_QUERY, "access_token"),
    ("a token in the query of an operation", get("/$export?%61ccess_token=x"), IN_QUERY, "access_token"),
    ("a GET with a body", FhirRequest("GET", "/Patient", {}, "patient=B"), MALFORMED, "body"),
    ("a HEAD with a body", FhirRequest("HEAD", "/Patient/A", {}, "x"), MALFORMED, "body"),
    ("a DELETE with a body", FhirRequest("DELETE", "/Patient/A", {}, "x"), MALFORMED, "body"),
    ("a search form sent as JSON (B3)",
     FhirRequest("POST", "/Observation/_search", {"content-type": "application/json"}, "{}"),
     MEDIA, "Content-Type"),
    ("an empty search form sent as JSON (B3)",
     post("/Observation/_search?patient=A", content_type="application/fhir+json"),
     MEDIA, "Content-Type"),
    ("a search form without a type", FhirRequest("POST", "/Observation/_search", {}, "patient=A"),
     MEDIA, "Content-Type"),
    ("a search form in another charset", post("/_search", "a=b", content_type=FORM_TYPE + ";charset=utf-16"),
     MEDIA, "Content-Type"),
    ("a search form with two types", post("/_search", "a=b", content_type=FORM_TYPE + ", text/plain"),
     MEDIA, "Content-Type"),
    ("a compressed search form", post("/Observation/_search", "patient=A", content_encoding="gzip"),
     MEDIA, "Content-Encoding"),
    ("a query above the cap", get("/Patient?name=" + "x" * MAX_QUERY), LARGE, "query"),
    ("a form above the cap", post("/Patient/_search", "name=" + "x" * MAX_FORM), LARGE, "body"),
    ("more parameters than are read", get("/Patient?" + "&".join(["name=a"] * (MAX_PARAMETERS + 1))),
     LARGE, "parameters"),
    ("query and form with more parameters together",
     post("/Patient/_search?" + "&".join(["name=a"] * 101), "&".join(["name=a"] * 100)),
     LARGE, "parameters"),
    ("a parameter on a create", FhirRequest("POST", "/Patient?identifier=1", {}, "{}"), UNKNOWN, "identifier"),
    ("a parameter on an update by id", FhirRequest("PUT", "/Patient/A?identifier=1", {}, "{}"), UNKNOWN, "identifier"),
    ("a parameter on a delete by id", FhirRequest("DELETE", "/Patient/A?_cascade=delete"), UNKNOWN, "_cascade"),
    ("a parameter on a batch", FhirRequest("POST", "/?patient=A", {}, "{}"), UNKNOWN, "patient"),
    ("a conditional delete without criteria (B7)", FhirRequest("DELETE", "/Observation"), MALFORMED, ""),
    ("a conditional delete with only _count (B8)", FhirRequest("DELETE", "/Basic?_count=1"), UNKNOWN, "_count"),
    ("a conditional delete with an unknown name (B8)", FhirRequest("DELETE", "/Basic?_bogus=1"), UNKNOWN, "_bogus"),
    ("a conditional delete with an empty id (B8)", FhirRequest("DELETE", "/Basic?_id="),
     RequestProblem.PARAMETER_EMPTY, "_id"),
    ("a conditional update without criteria", FhirRequest("PUT", "/Patient", {}, "{}"), MALFORMED, ""),
    ("a conditional patch with only _format", FhirRequest("PATCH", "/Patient?_format=json", {}, "[]"), MALFORMED, ""),
    ("an empty If-None-Exist (B8)", FhirRequest("POST", "/Patient", {"if-none-exist": ""}, "{}"), MALFORMED, ""),
    ("an If-None-Exist with a question mark", FhirRequest("POST", "/Patient", {"if-none-exist": "?identifier=1"}, "{}"),
     UNKNOWN, "?identifier"),
    ("a page beside another parameter (leak_07)", get("/?_page=abc&_count=5"), UNKNOWN, "_page"),
    ("two pages (B1)", get("/?_page=abc&_page=def"), UNKNOWN, "_page"),
    ("a page that no seal looks like", get("/?_page=a%2Fb"), RequestProblem.PARAMETER_INVALID, "_page"),
    ("an empty page", get("/?_page="), RequestProblem.PARAMETER_EMPTY, "_page"),
    ("a page on a type", get("/Patient?_page=abc"), UNKNOWN, "_page"),
    ("a page by POST", post("/_search", "_page=abc"), UNKNOWN, "_page"),
    ("the upstream's own paging link (leak_07, B1)", get("/?_getpages=1&_getpagesoffset=2"),
     UNKNOWN, "_getpages"),
    ("terminology capabilities", get("/metadata?mode=terminology"), RequestProblem.PARAMETER_INVALID, "mode"),
    ("a parameter on the capabilities", get("/metadata?_summary=true"), UNKNOWN, "_summary"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fhir_request", "problem", "offender"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_is_refused(fhir_request: FhirRequest, problem: RequestProblem, offender: str) -> None:
    error = fhir_request.parse_error()
    assert (error.problem, error.offender) == (problem, offender)
