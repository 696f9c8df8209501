"""Search parameters: what is read, and what is refused because a lenient server would ignore it (hapi.md B2)."""

import pytest

from gateway.fhir.problems import Problem
from gateway.fhir.query import Filter, Has, Include, Query, Sort, Summary, Total
from gateway.fhir.search_parameters import SearchType
from tests.fhir.request.asking import get, key, where

READ_AS: list[tuple[str, str, Query]] = [
    ("two criteria are AND-ed in order", "code=b&patient=A", Query((where("code", "b"), where("patient", "A")))),
    ("a key may be repeated (106)", "patient=A&patient=B", Query((where("patient", "A"), where("patient", "B")))),
    ("a list stays one value (leak_04)", "subject=Patient/A,Group/x", Query((where("subject", "Patient/A,Group/x"),))),
    ("a raw bar and an encoded one are the same", "code=s|c&code=s%7Cc", Query((where("code", "s|c"),) * 2)),
    ("one side of a token may be empty (116)", "code=|c&code=s|", Query((where("code", "|c"), where("code", "s|")))),
    ("a plus is a space", "code:text=blood+sugar", Query((where("code:text", "blood sugar"),))),
    ("a name may be percent-encoded: it is decoded once", "%70atient=A", Query((where("patient", "A"),))),
    ("values are decoded once", "code=a%252Cb", Query((where("code", "a%2Cb"),))),
    ("values are UTF-8", "code=%C3%A9", Query((where("code", "é"),))),
    ("an escaped comma stays escaped", r"code=a\,b", Query((where("code", r"a\,b"),))),
    ("a second equals sign is part of the value", "code=a=b", Query((where("code", "a=b"),))),
    ("a date with prefix", "date=ge2024-05&date=lt2024-06-01T10:00:00Z",
     Query((where("date", "ge2024-05"), where("date", "lt2024-06-01T10:00:00Z")))),
    ("a quantity", "value-quantity=gt5.4|http://unitsofmeasure.org|mg",
     Query((where("value-quantity", "gt5.4|http://unitsofmeasure.org|mg"),))),
    ("a composite", "code-value-quantity=s|c$gt5", Query((where("code-value-quantity", "s|c$gt5"),))),
    ("a type as modifier (leak_04)", "subject:Patient=A", Query((where("subject:Patient", "A"),))),
    ("a negated token (114)", "category:not=lab", Query((where("category:not", "lab"),))),
    ("a value set (114)", "category:in=http://x/vs", Query((where("category:in", "http://x/vs"),))),
    ("an identifier instead of a reference", "patient:identifier=s|1", Query((where("patient:identifier", "s|1"),))),
    ("missing", "patient:missing=true", Query((where("patient:missing", "true"),))),
    ("a chain (112, leak_19)", "subject.name=x", Query((Filter(key("subject", "name"), "x"),))),
    ("a typed chain (106)",
     "subject:Patient.name:exact=x", Query((Filter(key("subject:Patient", "name:exact"), "x"),))),
    ("a chain to an id", "patient._id=A", Query((Filter(key("patient", "_id"), "A"),))),
    ("a chain through several links", "encounter.service-provider.partof.name=x",
     Query((Filter(key("encounter", "service-provider", "partof", "name"), "x"),))),
    ("a chain through a reference to any type", "focus:Patient.birthdate=2000",
     Query((Filter(key("focus:Patient", "birthdate"), "2000"),))),
    ("a second query language (112, B13)", "code=x&_filter=patient+eq+B",
     Query((where("code", "x"), where("_filter", "patient eq B")))),
    ("every special criterion is named, not dropped (112, B13)", "_list=1&_query=q&_text=t&_content=c&_in=Group/1",
     Query(tuple(where(name, value) for name, value in
                 (("_list", "1"), ("_query", "q"), ("_text", "t"), ("_content", "c"), ("_in", "Group/1"))))),
    ("ids", "_id=A,B-1.c", Query((where("_id", "A,B-1.c"),))),
    ("common parameters", "_lastUpdated=gt2024&_tag=s|t&_profile=http://x&_security=s|R&_source=http://y",
     Query(tuple(where(name, value) for name, value in
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
     Query(sort=(Sort(key("date"), descending=True), Sort(key("code")), Sort(key("subject:Patient", "name"))),
           count=20, summary=Summary.COUNT, total=Total.ACCURATE, elements=("id", "code"))),
    ("a count above the cap is cut (B15)", "_count=999999999", Query(count=1000)),
    ("a count of nothing (113)", "_count=0", Query(count=0)),
    ("_format and _pretty are answered and not kept",
     "_format=json&_pretty=false&patient=A", Query((where("patient", "A"),))),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), [row[1:] for row in READ_AS], ids=[row[0] for row in READ_AS])
def test_is_read_as(query: str, expected: Query) -> None:
    interaction = get(f"/Observation?{query}").parse()
    assert interaction.query == expected  # type: ignore[union-attr]


def test_a_reverse_chain_is_read_link_by_link() -> None:
    """112, leak_03."""
    interaction = get("/Patient?_has:Observation:patient:_has:AuditEvent:entity:agent:missing=false").parse()
    inner = Has("AuditEvent", "entity", key("agent:missing"))
    assert interaction.query == Query((where(Has("Observation", "patient", inner), "false"),))  # type: ignore[union-attr]


def test_a_reverse_chain_may_end_in_a_chain() -> None:
    interaction = get("/Patient?_has:Observation:patient:encounter.status=planned").parse()
    has = Has("Observation", "patient", key("encounter", "status"))
    assert interaction.query == Query((where(has, "planned"),))  # type: ignore[union-attr]


E_, U, I_, M, Q, R = (
    Problem.PARAMETER_EMPTY,
    Problem.PARAMETER_UNKNOWN,
    Problem.PARAMETER_INVALID,
    Problem.MODIFIER_UNKNOWN,
    Problem.QUERY_MALFORMED,
    Problem.PARAMETER_REPEATED,
)
REFUSED: list[tuple[str, str, Problem, str]] = [
    ("an empty patient widens to everybody (B2)", "patient=", E_, "patient"),
    ("no equals sign", "patient", E_, "patient"),
    ("a blank", "patient=%20", E_, "patient"),
    ("a plus alone is a blank", "patient=+", E_, "patient"),
    ("a no-break space", "patient=%C2%A0", E_, "patient"),
    ("a comma alone (B2)", "patient=,", E_, "patient"),
    ("nothing before a comma (B2)", "patient=,A", E_, "patient"),
    ("nothing after a comma (B2)", "patient=A,", E_, "patient"),
    ("nothing between commas", "patient=A,%20,B", E_, "patient"),
    ("a bar alone", "code=|", E_, "code"),
    ("a bar in a list", "code=a,|", E_, "code"),
    ("an empty id (B2)", "_id=", E_, "_id"),
    ("an empty special criterion (B15)", "_filter=", E_, "_filter"),
    ("an empty list of elements", "_elements=", E_, "_elements"),
    ("an empty sort rule", "_sort=date,", E_, "_sort"),
    ("an unknown name", "bogus=1", U, "bogus"),
    ("an unknown name with an underscore: HAPI ignores it (B2)", "_bogus=1", U, "_bogus"),
    ("another type's parameter (leak_11)", "birthdate=2000", U, "birthdate"),
    ("a name in another case (B2)", "Patient=A", U, "Patient"),
    ("a name with a space", "%20patient=A", U, " patient"),
    ("an array of PHP", "patient[]=A", U, "patient[]"),
    ("a language of element paths", "Observation.subject=Patient/A", U, "Observation"),
    ("_type on a search of one type (B2)", "_type=Patient", U, "_type"),
    ("_since on a search (B2)", "_since=2024-05-01T10:00:00Z", U, "_since"),
    ("_at on a search (B2)", "_at=2024", U, "_at"),
    ("_offset (B15)", "_offset=10", U, "_offset"),
    ("_getpages (leak_07)", "_getpages=x", U, "_getpages"),
    ("_contained", "_contained=true", U, "_contained"),
    ("_containedType", "_containedType=container", U, "_containedType"),
    ("_graph", "_graph=x", U, "_graph"),
    ("_has alone", "_has=x", U, "_has"),
    ("a chain through what is no reference", "code.name=x", U, "code"),
    ("a chain to what no target has", "subject.bogus=x", U, "bogus"),
    ("a chain to what the named target does not have", "subject:Location.birthdate=2000", U, "birthdate"),
    ("a chain to a special criterion", "subject._filter=x", U, "_filter"),
    ("a chain with an empty link", "subject..name=x", U, ""),
    ("a chain that goes nowhere", "subject.=x", U, ""),
    ("a bare colon (B2)", "patient:=A", M, "patient:"),
    ("a modifier of another type of parameter", "patient:exact=A", M, "patient:exact"),
    ("an unknown modifier on a token: HAPI ignores it (B2)", "code:bogus=x", M, "code:bogus"),
    ("a modifier on _id: HAPI ignores it (B2)", "_id:not=A", M, "_id:not"),
    ("missing on _id", "_id:missing=false", M, "_id:missing"),
    ("a modifier on _lastUpdated (B2)", "_lastUpdated:not=2024", M, "_lastUpdated:not"),
    ("a type that the reference cannot lead to", "subject:Observation=1", M, "subject:Observation"),
    ("a type in another case", "subject:patient=A", M, "subject:patient"),
    ("two modifiers", "subject:Patient:missing=true", M, "subject:Patient:missing"),
    ("a modifier on a link of a chain", "subject:missing.name=x", M, "subject:missing"),
    ("a modifier on a composite", "code-value-quantity:missing=true", M, "code-value-quantity:missing"),
    ("a modifier on a result parameter", "_count:exact=1", M, "_count:exact"),
    ("a bare colon on a result parameter", "_summary:=true", M, "_summary:"),
    ("an unknown modifier on an include (B2)", "_revinclude:bogus=Provenance:target", M, "_revinclude:bogus"),
    ("a bare colon on an include", "_include:=Observation:subject", M, "_include:"),
    ("a modifier on a special criterion", "_text:exact=x", M, "_text"),
    ("a modifier in a sort rule", "_sort=code:text", M, "_sort"),
    ("missing is true or false", "patient:missing=1", I_, "patient:missing"),
    ("an id outside the grammar", "_id=A/B", I_, "_id"),
    ("a reference as an id", "_id=Observation/1", I_, "_id"),
    ("a chained id outside the grammar", "patient._id=a_b", I_, "patient._id"),
    ("a reference without an id (B2)", "patient=Patient/", I_, "patient"),
    ("a reference without a type", "patient=/A", I_, "patient"),
    ("a reference with a space", "patient=Patient/A%20B", I_, "patient"),
    ("a date that is none", "date=yesterday", I_, "date"),
    ("a date with an unknown prefix", "date=xx2024", I_, "date"),
    ("a prefix alone", "date=ge", I_, "date"),
    ("a date whose plus became a space", "date=2024-05-01T10:00:00+02:00", I_, "date"),
    ("digits of another script", "date=%D9%A2%D9%A0%D9%A2%D9%A4", I_, "date"),
    ("one bad date in a list", "date=2024,x", I_, "date"),
    ("a quantity that is none", "value-quantity=mg", I_, "value-quantity"),
    ("a stray backslash", r"code=a\b", I_, "code"),
    ("a backslash at the end", "code=a\\", I_, "code"),
    ("a chain that is too long", "encounter.part-of.part-of.part-of.part-of.status=x", I_,
     "encounter.part-of.part-of.part-of.part-of.status"),
    ("a reverse chain without its key", "_has:Observation:patient=x", I_, "_has:Observation:patient"),
    ("a reverse chain from no type", "_has:Bogus:patient:code=x", I_, "_has:Bogus:patient:code"),
    ("a reverse chain to an unknown parameter", "_has:Provenance:target:bogus=x", U, "bogus"),
    ("a reverse chain by what is no reference", "_has:Provenance:recorded:patient=x", U,
     "_has:Provenance:recorded:patient"),
    ("a reverse chain that points elsewhere", "_has:Condition:patient:code=x", U, "_has:Condition:patient:code"),
    ("a reverse chain to a special criterion", "_has:Provenance:target:_filter=x", U, "_filter"),
    ("a reverse chain with an unknown modifier", "_has:Provenance:target:agent:bogus=x", M, "agent:bogus"),
    ("a negative count (B15)", "_count=-1", I_, "_count"),
    ("a count that is no number", "_count=all", I_, "_count"),
    ("a count with a sign", "_count=%2B5", I_, "_count"),
    ("a count in other digits", "_count=%D9%A5", I_, "_count"),
    ("an unknown summary", "_summary=yes", I_, "_summary"),
    ("an unknown total", "_total=TRUE", I_, "_total"),
    ("a path among the elements", "_elements=code.coding", I_, "_elements"),
    ("a type among the elements", "_elements=*", I_, "_elements"),
    ("a sort by nothing known", "_sort=bogus", U, "bogus"),
    ("a sort by a minus", "_sort=-", U, ""),
    ("a sort by a composite", "_sort=code-value-quantity", I_, "_sort"),
    ("an include without its parameter", "_include=Observation", I_, "_include"),
    ("an include from no type", "_include=Bogus:subject", I_, "_include"),
    ("an include by what is no reference", "_include=Observation:code", I_, "_include"),
    ("an include of what cannot be there", "_include=Observation:subject:Observation", I_, "_include"),
    ("an include of no type", "_include=Observation:focus:Bogus", I_, "_include"),
    ("an include with an empty target", "_include=Observation:subject:", I_, "_include"),
    ("an include of everything from everywhere", "_include=*:*", I_, "_include"),
    ("two includes in one", "_include=Observation:subject,Observation:performer", I_, "_include"),
    ("an include of every link to one type", "_include=Observation:*:Patient", I_, "_include"),
    ("_pretty that is no boolean", "_pretty=yes", I_, "_pretty"),
    ("_count twice (121)", "_count=1&_count=2", R, "_count"),
    ("_sort twice", "_sort=date&_sort=code", R, "_sort"),
    ("_elements twice (leak_29)", "_elements=id&_elements=subject", R, "_elements"),
    ("_summary twice", "_summary=true&_summary=true", R, "_summary"),
    ("_format twice", "_format=json&_format=json", R, "_format"),
    ("_pretty twice", "_pretty=true&_pretty=true", R, "_pretty"),
    ("no name", "=A", Q, ""),
    ("a blank name", "+=A", Q, ""),
    ("nothing between ampersands", "patient=A&&code=x", Q, ""),
    ("an ampersand at the end", "patient=A&", Q, ""),
    ("a stray percent sign", "patient=A%", Q, ""),
    ("a percent sign before no hexadecimal digits", "patient=%GG", Q, ""),
    ("overlong UTF-8", "patient=%C0%AF", Q, ""),
    ("a lone surrogate", "patient=%ED%A0%80", Q, ""),
    ("a null byte (119)", "patient=A%00", Q, ""),
    ("a line break", "patient=A%0D%0AX-Admin:1", Q, ""),
    ("a control character of the second set", "patient=A%C2%85", Q, ""),
    ("a raw space", "patient=A B", Q, ""),
    ("raw bytes above ASCII", "patient=é", Q, ""),
    ("a fragment (leak_22)", "patient=A#x", Q, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "problem", "offender"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_is_refused(query: str, problem: Problem, offender: str) -> None:
    error = get(f"/Observation?{query}").refusal()
    assert (error.problem, error.offender) == (problem, offender)


ELSEWHERE: list[tuple[str, str, Problem, str]] = [
    ("a criterion on a read: HAPI ignores _x (B2)", "/Observation/1?_bogus=1", U, "_bogus"),
    ("a patient on a read", "/Observation/1?patient=A", U, "patient"),
    ("an include on a read", "/Observation/1?_include=Observation:subject", U, "_include"),
    ("a count on a vread", "/Observation/1/_history/1?_count=1", U, "_count"),
    ("a sort on a history", "/Observation/_history?_sort=date", U, "_sort"),
    ("a type on a type history", "/Observation/_history?_type=Patient", U, "_type"),
    ("a criterion on a history (B6)", "/Observation/_history?patient=A", U, "patient"),
    ("a history since a day (B6)", "/Observation/_history?_since=2024-05-01", I_, "_since"),
    ("a history at no time", "/Observation/_history?_at=now", I_, "_at"),
    ("an unknown type among types", "/?_type=Observation,Bogus", Problem.RESOURCE_TYPE_UNKNOWN, "Bogus"),
    ("types given twice", "/?_type=Observation&_type=Patient", R, "_type"),
    ("a parameter that one of the types does not have", "/?_type=Observation,Patient&code=x", U, "code"),
    ("a parameter of one type on all types", "/?patient=A", U, "patient"),
    ("a parameter of one type in a whole compartment", "/Patient/A/*?code=x", U, "code"),
    ("another type's parameter in a compartment", "/Patient/A/Observation?birthdate=2000", U, "birthdate"),
    ("types in a compartment search of one type", "/Patient/A/Observation?_type=Observation", U, "_type"),
    ("a reverse chain nested too deep",
     "/Patient?_has:Observation:patient:" + "_has:Observation:focus:" * 3 + "code=x",
     I_, "_has:Observation:focus:code"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "problem", "offender"), [row[1:] for row in ELSEWHERE], ids=[row[0] for row in ELSEWHERE]
)
def test_is_refused_where_it_is_not_defined(target: str, problem: Problem, offender: str) -> None:
    error = get(target).refusal()
    assert (error.problem, error.offender) == (problem, offender)


def test_an_offender_never_quotes_the_value_of_a_criterion() -> None:
    assert "Smith" not in str(get("/Observation?date=Smith").refusal())


_EXTRA = {"Observation": {"ward": SearchType.REFERENCE, "shift": SearchType.TOKEN}}


def test_parameters_that_the_upstream_has_besides_are_read_when_named() -> None:
    interaction = get("/Observation?ward:Location.name=x&shift:not=night&_include=Observation:ward").parse(_EXTRA)
    expected = (Filter(key("ward:Location", "name"), "x"), where("shift:not", "night"))
    assert interaction.query == Query(expected, (Include("Observation", "ward"),))  # type: ignore[union-attr]


def test_extra_parameters_belong_to_their_type_alone() -> None:
    with pytest.raises(Exception, match="parameter_unknown: ward"):
        get("/Patient?ward=1").parse(_EXTRA)
