"""Parsing of query parameters. Those that a lenient server would ignore are refused (hapi.md B2)."""

import pytest

from gateway.fhir.request_error import RequestProblem
from gateway.fhir.search.query import Include, Query, ReverseChain, SearchCriterion, SortRule, SummaryMode, TotalMode
from gateway.fhir.search_parameters import SearchType
from tests.fhir.request.fhir_requests import criterion, get, search_key

PARSED: list[tuple[str, str, Query]] = [
    ("two criteria are AND-ed in order", "code=b&patient=A",
     Query((criterion("code", "b"), criterion("patient", "A")))),
    ("a key may be repeated (106)", "patient=A&patient=B",
     Query((criterion("patient", "A"), criterion("patient", "B")))),
    ("a list stays one value (leak_04)", "subject=Patient/A,Group/x",
     Query((criterion("subject", "Patient/A,Group/x"),))),
    ("a raw bar and an encoded one are the same", "code=s|c&code=s%7Cc", Query((criterion("code", "s|c"),) * 2)),
    ("one side of a token may be empty (116)", "code=|c&code=s|",
     Query((criterion("code", "|c"), criterion("code", "s|")))),
    ("a plus is a space", "code:text=blood+sugar", Query((criterion("code:text", "blood sugar"),))),
    ("a name may be percent-encoded: it is decoded once", "%70atient=A", Query((criterion("patient", "A"),))),
    ("values are decoded once", "code=a%252Cb", Query((criterion("code", "a%2Cb"),))),
    ("values are UTF-8", "code=%C3%A9", Query((criterion("code", "é"),))),
    ("an escaped comma stays escaped", r"code=a\,b", Query((criterion("code", r"a\,b"),))),
    ("a second equals sign is part of the value", "code=a=b", Query((criterion("code", "a=b"),))),
    ("a date with prefix", "date=ge2024-05&date=lt2024-06-01T10:00:00Z",
     Query((criterion("date", "ge2024-05"), criterion("date", "lt2024-06-01T10:00:00Z")))),
    ("a quantity", "value-quantity=gt5.4|http://unitsofmeasure.org|mg",
     Query((criterion("value-quantity", "gt5.4|http://unitsofmeasure.org|mg"),))),
    ("a composite", "code-value-quantity=s|c$gt5", Query((criterion("code-value-quantity", "s|c$gt5"),))),
    ("a type as modifier (leak_04)", "subject:Patient=A", Query((criterion("subject:Patient", "A"),))),
    ("a negated token (114)", "category:not=lab", Query((criterion("category:not", "lab"),))),
    ("a value set (114)", "category:in=http://x/vs", Query((criterion("category:in", "http://x/vs"),))),
    ("an identifier instead of a reference", "patient:identifier=s|1",
     Query((criterion("patient:identifier", "s|1"),))),
    ("missing", "patient:missing=true", Query((criterion("patient:missing", "true"),))),
    ("a chain (112, leak_19)", "subject.name=x", Query((SearchCriterion(search_key("subject", "name"), "x"),))),
    ("a typed chain (106)",
     "subject:Patient.name:exact=x", Query((SearchCriterion(search_key("subject:Patient", "name:exact"), "x"),))),
    ("a chain to an id", "patient._id=A", Query((SearchCriterion(search_key("patient", "_id"), "A"),))),
    ("a chain through several links", "encounter.service-provider.partof.name=x",
     Query((SearchCriterion(search_key("encounter", "service-provider", "partof", "name"), "x"),))),
    ("a chain through a reference to any type", "focus:Patient.birthdate=2000",
     Query((SearchCriterion(search_key("focus:Patient", "birthdate"), "2000"),))),
    ("a second query language (112, B13)", "code=x&_filter=patient+eq+B",
     Query((criterion("code", "x"), criterion("_filter", "patient eq B")))),
    ("every special criterion is named, not dropped (112, B13)", "_list=1&_query=q&_text=t&_content=c&_in=Group/1",
     Query(tuple(criterion(name, value) for name, value in
                 (("_list", "1"), ("_query", "q"), ("_text", "t"), ("_content", "c"), ("_in", "Group/1"))))),
    ("ids", "_id=A,B-1.c", Query((criterion("_id", "A,B-1.c"),))),
    ("common parameters", "_lastUpdated=gt2024&_tag=s|t&_profile=http://x&_security=s|R&_source=http://y",
     Query(tuple(criterion(name, value) for name, value in
                 (("_lastUpdated", "gt2024"), ("_tag", "s|t"), ("_profile", "http://x"), ("_security", "s|R"),
                  ("_source", "http://y"))))),
    ("an include", "_include=Observation:subject", Query(includes=(Include("Observation", "subject"),))),
    ("an include of one target type, iterated (leak_02)", "_include:iterate=Observation:subject:Patient",
     Query(includes=(Include("Observation", "subject", "Patient", iterate=True),))),
    ("recurse is iterate (leak_02)", "_revinclude:recurse=Provenance:target",
     Query(includes=(Include("Provenance", "target", iterate=True, reverse=True),))),
    ("all includes (111, B14)", "_include=*&_revinclude=*&_include=Observation:*",
     Query(includes=(Include("*", "*"), Include("*", "*", reverse=True), Include("Observation", "*")))),
    ("what shapes the answer",
     "_sort=-date,code,subject:Patient.name&_count=20&_summary=count&_total=accurate&_elements=id,code",
     Query(sort=(SortRule(search_key("date"), descending=True), SortRule(search_key("code")),
                 SortRule(search_key("subject:Patient", "name"))),
           count=20, summary=SummaryMode.COUNT, total=TotalMode.ACCURATE, elements=("id", "code"))),
    ("a count above the cap is cut (B15)", "_count=999999999", Query(count=1000)),
    ("a count of nothing (113)", "_count=0", Query(count=0)),
    ("_format and _pretty are answered and not kept",
     "_format=json&_pretty=false&patient=A", Query((criterion("patient", "A"),))),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), [row[1:] for row in PARSED], ids=[row[0] for row in PARSED])
def test_is_read_as(query: str, expected: Query) -> None:
    interaction = get(f"/Observation?{query}").parse()
    assert interaction.query == expected  # type: ignore[union-attr]


def test_a_reverse_chain_is_read_link_by_link() -> None:
    """112, leak_03."""
    interaction = get("/Patient?_has:Observation:patient:_has:AuditEvent:entity:agent:missing=false").parse()
    inner = ReverseChain("AuditEvent", "entity", search_key("agent:missing"))
    outer = ReverseChain("Observation", "patient", inner)
    assert interaction.query == Query((criterion(outer, "false"),))  # type: ignore[union-attr]


def test_a_reverse_chain_may_end_in_a_chain() -> None:
    interaction = get("/Patient?_has:Observation:patient:encounter.status=planned").parse()
    has = ReverseChain("Observation", "patient", search_key("encounter", "status"))
    assert interaction.query == Query((criterion(has, "planned"),))  # type: ignore[union-attr]


EMPTY, UNKNOWN, INVALID, MODIFIER, MALFORMED, REPEATED = (
    RequestProblem.PARAMETER_EMPTY,
    RequestProblem.PARAMETER_UNKNOWN,
    RequestProblem.PARAMETER_INVALID,
    RequestProblem.MODIFIER_UNKNOWN,
    RequestProblem.QUERY_MALFORMED,
    RequestProblem.PARAMETER_REPEATED,
)
REFUSED: list[tuple[str, str, RequestProblem, str]] = [
    ("an empty patient widens to everybody (B2)", "patient=", EMPTY, "patient"),
    ("no equals sign", "patient", EMPTY, "patient"),
    ("a blank", "patient=%20", EMPTY, "patient"),
    ("a plus alone is a blank", "patient=+", EMPTY, "patient"),
    ("a no-break space", "patient=%C2%A0", EMPTY, "patient"),
    ("a comma alone (B2)", "patient=,", EMPTY, "patient"),
    ("nothing before a comma (B2)", "patient=,A", EMPTY, "patient"),
    ("nothing after a comma (B2)", "patient=A,", EMPTY, "patient"),
    ("nothing between commas", "patient=A,%20,B", EMPTY, "patient"),
    ("a bar alone", "code=|", EMPTY, "code"),
    ("a bar in a list", "code=a,|", EMPTY, "code"),
    ("an empty id (B2)", "_id=", EMPTY, "_id"),
    ("an empty special criterion (B15)", "_filter=", EMPTY, "_filter"),
    ("an empty list of elements", "_elements=", EMPTY, "_elements"),
    ("an empty sort rule", "_sort=date,", EMPTY, "_sort"),
    ("an unknown name", "bogus=1", UNKNOWN, "bogus"),
    ("an unknown name with an underscore: HAPI ignores it (B2)", "_bogus=1", UNKNOWN, "_bogus"),
    ("another type's parameter (leak_11)", "birthdate=2000", UNKNOWN, "birthdate"),
    ("a name in another case (B2)", "Patient=A", UNKNOWN, "Patient"),
    ("a name with a space", "%20patient=A", UNKNOWN, " patient"),
    ("an array of PHP", "patient[]=A", UNKNOWN, "patient[]"),
    ("a language of element paths", "Observation.subject=Patient/A", UNKNOWN, "Observation"),
    ("_type on a search of one type (B2)", "_type=Patient", UNKNOWN, "_type"),
    ("_since on a search (B2)", "_since=2024-05-01T10:00:00Z", UNKNOWN, "_since"),
    ("_at on a search (B2)", "_at=2024", UNKNOWN, "_at"),
    ("_offset (B15)", "_offset=10", UNKNOWN, "_offset"),
    ("_getpages (leak_07)", "_getpages=x", UNKNOWN, "_getpages"),
    ("_contained", "_contained=true", UNKNOWN, "_contained"),
    ("_containedType", "_containedType=container", UNKNOWN, "_containedType"),
    ("_graph", "_graph=x", UNKNOWN, "_graph"),
    ("_has alone", "_has=x", UNKNOWN, "_has"),
    ("a chain through what is no reference", "code.name=x", UNKNOWN, "code"),
    ("a chain to what no target has", "subject.bogus=x", UNKNOWN, "bogus"),
    ("a chain to what the named target does not have", "subject:Location.birthdate=2000", UNKNOWN, "birthdate"),
    ("a chain to a special criterion", "subject._filter=x", UNKNOWN, "_filter"),
    ("a chain with an empty link", "subject..name=x", UNKNOWN, ""),
    ("a chain that goes nowhere", "subject.=x", UNKNOWN, ""),
    ("a bare colon (B2)", "patient:=A", MODIFIER, "patient:"),
    ("a modifier of another type of parameter", "patient:exact=A", MODIFIER, "patient:exact"),
    ("an unknown modifier on a token: HAPI ignores it (B2)", "code:bogus=x", MODIFIER, "code:bogus"),
    ("a modifier on _id: HAPI ignores it (B2)", "_id:not=A", MODIFIER, "_id:not"),
    ("missing on _id", "_id:missing=false", MODIFIER, "_id:missing"),
    ("a modifier on _lastUpdated (B2)", "_lastUpdated:not=2024", MODIFIER, "_lastUpdated:not"),
    ("a type that the reference cannot lead to", "subject:Observation=1", MODIFIER, "subject:Observation"),
    ("a type in another case", "subject:patient=A", MODIFIER, "subject:patient"),
    ("two modifiers", "subject:Patient:missing=true", MODIFIER, "subject:Patient:missing"),
    ("a modifier on a link of a chain", "subject:missing.name=x", MODIFIER, "subject:missing"),
    ("a modifier on a composite", "code-value-quantity:missing=true", MODIFIER, "code-value-quantity:missing"),
    ("a modifier on a result parameter", "_count:exact=1", MODIFIER, "_count:exact"),
    ("a bare colon on a result parameter", "_summary:=true", MODIFIER, "_summary:"),
    ("an unknown modifier on an include (B2)", "_revinclude:bogus=Provenance:target", MODIFIER, "_revinclude:bogus"),
    ("a bare colon on an include", "_include:=Observation:subject", MODIFIER, "_include:"),
    ("a modifier on a special criterion", "_text:exact=x", MODIFIER, "_text"),
    ("a modifier in a sort rule", "_sort=code:text", MODIFIER, "_sort"),
    ("missing is true or false", "patient:missing=1", INVALID, "patient:missing"),
    ("an id outside the grammar", "_id=A/B", INVALID, "_id"),
    ("a reference as an id", "_id=Observation/1", INVALID, "_id"),
    ("a chained id outside the grammar", "patient._id=a_b", INVALID, "patient._id"),
    ("a reference without an id (B2)", "patient=Patient/", INVALID, "patient"),
    ("a reference without a type", "patient=/A", INVALID, "patient"),
    ("a reference with a space", "patient=Patient/A%20B", INVALID, "patient"),
    ("a date that is none", "date=yesterday", INVALID, "date"),
    ("a date with an unknown prefix", "date=xx2024", INVALID, "date"),
    ("a prefix alone", "date=ge", INVALID, "date"),
    ("a date whose plus became a space", "date=2024-05-01T10:00:00+02:00", INVALID, "date"),
    ("digits of another script", "date=%D9%A2%D9%A0%D9%A2%D9%A4", INVALID, "date"),
    ("one bad date in a list", "date=2024,x", INVALID, "date"),
    ("a quantity that is none", "value-quantity=mg", INVALID, "value-quantity"),
    ("a stray backslash", r"code=a\b", INVALID, "code"),
    ("a backslash at the end", "code=a\\", INVALID, "code"),
    ("a chain that is too long", "encounter.part-of.part-of.part-of.part-of.status=x", INVALID,
     "encounter.part-of.part-of.part-of.part-of.status"),
    ("a reverse chain without its key", "_has:Observation:patient=x", INVALID, "_has:Observation:patient"),
    ("a reverse chain from no type", "_has:Bogus:patient:code=x", INVALID, "_has:Bogus:patient:code"),
    ("a reverse chain to an unknown parameter", "_has:Provenance:target:bogus=x", UNKNOWN, "bogus"),
    ("a reverse chain by what is no reference", "_has:Provenance:recorded:patient=x", UNKNOWN,
     "_has:Provenance:recorded:patient"),
    ("a reverse chain that points elsewhere", "_has:Condition:patient:code=x", UNKNOWN, "_has:Condition:patient:code"),
    ("a reverse chain to a special criterion", "_has:Provenance:target:_filter=x", UNKNOWN, "_filter"),
    ("a reverse chain with an unknown modifier", "_has:Provenance:target:agent:bogus=x", MODIFIER, "agent:bogus"),
    ("a negative count (B15)", "_count=-1", INVALID, "_count"),
    ("a count that is no number", "_count=all", INVALID, "_count"),
    ("a count with a sign", "_count=%2B5", INVALID, "_count"),
    ("a count in other digits", "_count=%D9%A5", INVALID, "_count"),
    ("an unknown summary", "_summary=yes", INVALID, "_summary"),
    ("an unknown total", "_total=TRUE", INVALID, "_total"),
    ("a path among the elements", "_elements=code.coding", INVALID, "_elements"),
    ("a type among the elements", "_elements=*", INVALID, "_elements"),
    ("a sort by nothing known", "_sort=bogus", UNKNOWN, "bogus"),
    ("a sort by a minus", "_sort=-", UNKNOWN, ""),
    ("a sort by a composite", "_sort=code-value-quantity", INVALID, "_sort"),
    ("an include without its parameter", "_include=Observation", INVALID, "_include"),
    ("an include from no type", "_include=Bogus:subject", INVALID, "_include"),
    ("an include by what is no reference", "_include=Observation:code", INVALID, "_include"),
    ("an include of what cannot be there", "_include=Observation:subject:Observation", INVALID, "_include"),
    ("an include of no type", "_include=Observation:focus:Bogus", INVALID, "_include"),
    ("an include with an empty target", "_include=Observation:subject:", INVALID, "_include"),
    ("an include of everything from everywhere", "_include=*:*", INVALID, "_include"),
    ("two includes in one", "_include=Observation:subject,Observation:performer", INVALID, "_include"),
    ("an include of every link to one type", "_include=Observation:*:Patient", INVALID, "_include"),
    ("_pretty that is no boolean", "_pretty=yes", INVALID, "_pretty"),
    ("_count twice (121)", "_count=1&_count=2", REPEATED, "_count"),
    ("_sort twice", "_sort=date&_sort=code", REPEATED, "_sort"),
    ("_elements twice (leak_29)", "_elements=id&_elements=subject", REPEATED, "_elements"),
    ("_summary twice", "_summary=true&_summary=true", REPEATED, "_summary"),
    ("_format twice", "_format=json&_format=json", REPEATED, "_format"),
    ("_pretty twice", "_pretty=true&_pretty=true", REPEATED, "_pretty"),
    ("no name", "=A", MALFORMED, ""),
    ("a blank name", "+=A", MALFORMED, ""),
    ("nothing between ampersands", "patient=A&&code=x", MALFORMED, ""),
    ("an ampersand at the end", "patient=A&", MALFORMED, ""),
    ("a stray percent sign", "patient=A%", MALFORMED, ""),
    ("a percent sign before no hexadecimal digits", "patient=%GG", MALFORMED, ""),
    ("overlong UTF-8", "patient=%C0%AF", MALFORMED, ""),
    ("a lone surrogate", "patient=%ED%A0%80", MALFORMED, ""),
    ("a null byte (119)", "patient=A%00", MALFORMED, ""),
    ("a line break", "patient=A%0D%0AX-Admin:1", MALFORMED, ""),
    ("a control character of the second set", "patient=A%C2%85", MALFORMED, ""),
    ("a raw space", "patient=A B", MALFORMED, ""),
    ("raw bytes above ASCII", "patient=é", MALFORMED, ""),
    ("a fragment (leak_22)", "patient=A#x", MALFORMED, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "problem", "offender"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_is_refused(query: str, problem: RequestProblem, offender: str) -> None:
    error = get(f"/Observation?{query}").parse_error()
    assert (error.problem, error.offender) == (problem, offender)


REFUSED_ELSEWHERE: list[tuple[str, str, RequestProblem, str]] = [
    ("a criterion on a read: HAPI ignores _x (B2)", "/Observation/1?_bogus=1", UNKNOWN, "_bogus"),
    ("a patient on a read", "/Observation/1?patient=A", UNKNOWN, "patient"),
    ("an include on a read", "/Observation/1?_include=Observation:subject", UNKNOWN, "_include"),
    ("a count on a vread", "/Observation/1/_history/1?_count=1", UNKNOWN, "_count"),
    ("a sort on a history", "/Observation/_history?_sort=date", UNKNOWN, "_sort"),
    ("a type on a type history", "/Observation/_history?_type=Patient", UNKNOWN, "_type"),
    ("a criterion on a history (B6)", "/Observation/_history?patient=A", UNKNOWN, "patient"),
    ("a history since a day (B6)", "/Observation/_history?_since=2024-05-01", INVALID, "_since"),
    ("a history at no time", "/Observation/_history?_at=now", INVALID, "_at"),
    ("an unknown type among types", "/?_type=Observation,Bogus", RequestProblem.RESOURCE_TYPE_UNKNOWN, "Bogus"),
    ("types given twice", "/?_type=Observation&_type=Patient", REPEATED, "_type"),
    ("a parameter that one of the types does not have", "/?_type=Observation,Patient&code=x", UNKNOWN, "code"),
    ("a parameter of one type on all types", "/?patient=A", UNKNOWN, "patient"),
    ("a parameter of one type in a whole compartment", "/Patient/A/*?code=x", UNKNOWN, "code"),
    ("another type's parameter in a compartment", "/Patient/A/Observation?birthdate=2000", UNKNOWN, "birthdate"),
    ("types in a compartment search of one type", "/Patient/A/Observation?_type=Observation", UNKNOWN, "_type"),
    ("a reverse chain nested too deep",
     "/Patient?_has:Observation:patient:" + "_has:Observation:focus:" * 3 + "code=x",
     INVALID, "_has:Observation:focus:code"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "problem", "offender"), [row[1:] for row in REFUSED_ELSEWHERE], ids=[row[0] for row in REFUSED_ELSEWHERE]
)
def test_is_refused_where_it_is_not_defined(target: str, problem: RequestProblem, offender: str) -> None:
    error = get(target).parse_error()
    assert (error.problem, error.offender) == (problem, offender)


def test_an_offender_never_quotes_the_value_of_a_criterion() -> None:
    assert "Smith" not in str(get("/Observation?date=Smith").parse_error())


_EXTRA = {"Observation": {"ward": SearchType.REFERENCE, "shift": SearchType.TOKEN}}


def test_parameters_that_the_upstream_has_besides_are_read_when_named() -> None:
    interaction = get("/Observation?ward:Location.name=x&shift:not=night&_include=Observation:ward").parse(_EXTRA)
    expected = (SearchCriterion(search_key("ward:Location", "name"), "x"), criterion("shift:not", "night"))
    assert interaction.query == Query(expected, (Include("Observation", "ward"),))  # type: ignore[union-attr]


def test_extra_parameters_belong_to_their_type_alone() -> None:
    with pytest.raises(Exception, match="parameter_unknown: ward"):
        get("/Patient?ward=1").parse(_EXTRA)
