"""Which request a paging link leads to: every form that servers write, and nothing but a plain path below the base."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.fhir.resources.page_target import LinkProblem, ServerAddresses, UnusableLinkError

BASE = "http://fhir-server.internal:8080/fhir"
OTHERS = ("https://gateway.example/r4", "https://clinic.example/services/fhir/r4", "https://whole.example")
ADDRESSES = ServerAddresses(BASE, OTHERS)
AT_ROOT = ServerAddresses("http://fhir-server.internal:8080")

FOLLOWED = {
    "an absolute link": (f"{BASE}/Observation?page=2", "/Observation?page=2"),
    "a handle at the base": (f"{BASE}?_getpages=a-b_c&_getpagesoffset=10", "?_getpages=a-b_c&_getpagesoffset=10"),
    "a handle at the base with a slash": (f"{BASE}/?_getpages=a", "?_getpages=a"),
    "a slash before the query": (f"{BASE}/Observation/?_page_token=x", "/Observation?_page_token=x"),
    "a slash too many": (f"{BASE}//Observation?page=2", "/Observation?page=2"),
    "no query": (f"{BASE}/Observation/__page/x1", "/Observation/__page/x1"),
    "a relative reference": ("Observation?page=2", "/Observation?page=2"),
    "a relative reference with a dot": ("./Observation?page=2", "/Observation?page=2"),
    "a query alone": ("?page=2", "/Observation?page=2"),
    "a path on the host": ("/fhir/Observation?page=2", "/Observation?page=2"),
    "no scheme": ("//fhir-server.internal:8080/fhir/Observation?page=2", "/Observation?page=2"),
    "a session id": (
        f"{BASE}/Observation;jsessionid=1A2b.node-1!9?page=2",
        "/Observation;jsessionid=1A2b.node-1!9?page=2",
    ),
    "a session id at the base": (f"{BASE};jsessionid=1A?_getpages=x", ";jsessionid=1A?_getpages=x"),
    "a fragment": (f"{BASE}/Observation?page=2#top", "/Observation?page=2"),
    "an empty fragment": (f"{BASE}/Observation?page=2#", "/Observation?page=2"),
    "a space": (f"{BASE}/Observation?code:text=blood sugar&page=2", "/Observation?code:text=blood%20sugar&page=2"),
    "a quotation mark": (f'{BASE}/Observation?x="a"&page=2', "/Observation?x=%22a%22&page=2"),
    "an apostrophe": (f"{BASE}/Observation?x='a'&page=2", "/Observation?x='a'&page=2"),
    "a letter beyond ASCII": (f"{BASE}/Observation?x=Größe&page=2", "/Observation?x=Gr%C3%B6%C3%9Fe&page=2"),
    "characters that no URL has": (
        f"{BASE}/Observation?x=a|b<c>{{d}}^`\\",
        "/Observation?x=a%7Cb%3Cc%3E%7Bd%7D%5E%60%5C",
    ),
    "a line end in a value": (f"{BASE}/Observation?x=a\r\nHost: b", "/Observation?x=a%0D%0AHost:%20b"),
    "a percent sign of its own": (f"{BASE}/Observation?x=100%&page=2", "/Observation?x=100%&page=2"),
    "white space around it": (f"  {BASE}/Observation?page=2\n", "/Observation?page=2"),
    "encoded letters in the path": (f"{BASE}/%4Fbservation?page=2", "/Observation?page=2"),
    "another spelling of host and scheme": (
        "HTTP://FHIR-Server.Internal.:8080/fhir/Observation?page=2",
        "/Observation?page=2",
    ),
    "the port that TLS has elsewhere": ("https://fhir-server.internal/fhir/Observation?page=2", "/Observation?page=2"),
    "the public base": ("https://gateway.example/r4/Observation?page=2", "/Observation?page=2"),
    "the public base with its default port": ("https://gateway.example:443/r4/Observation?p=2", "/Observation?p=2"),
    "a base it is known by": ("https://clinic.example/services/fhir/r4/Observation?p=2", "/Observation?p=2"),
    "a base that is a whole host": ("https://whole.example/Observation?p=2", "/Observation?p=2"),
    "dots that stay below the base": (f"{BASE}/Patient/../Observation?page=2", "/Observation?page=2"),
}


@pytest.mark.parametrize(("url", "target"), FOLLOWED.values(), ids=FOLLOWED)
def test_a_link_is_followed_whatever_its_form(url: str, target: str) -> None:
    assert ADDRESSES.resolve(url, "/Observation") == target


FROM_OTHER_PAGES = {
    "the base": ("", "Observation?page=2", "/Observation?page=2"),
    "the base, by a query": ("", "?page=2", "?page=2"),
    "a compartment": ("/Patient/a/Observation", "Observation?page=2", "/Patient/a/Observation?page=2"),
    "a compartment, from the base": (
        "/Patient/a/Observation",
        "../../Patient/a/Observation?page=2",
        "/Patient/a/Observation?page=2",
    ),
    "a history": ("/Observation/1/_history", "_history?page=2", "/Observation/1/_history?page=2"),
    "a history, by a query": ("/Observation/1/_history", "?page=2", "/Observation/1/_history?page=2"),
    "a page with a session id": ("/Observation;jsessionid=1", "?page=3", "/Observation;jsessionid=1?page=3"),
    "below the base alone": ("/Observation", "../fhir/Observation?page=2", "/Observation?page=2"),
    "above the base, so from the base": ("", "./Observation?page=2", "/Observation?page=2"),
}


@pytest.mark.parametrize(("page", "url", "target"), FROM_OTHER_PAGES.values(), ids=FROM_OTHER_PAGES)
def test_a_relative_link_starts_at_the_page_that_holds_it(page: str, url: str, target: str) -> None:
    assert ADDRESSES.resolve(url, page) == target


REFUSED = {
    "nothing": ("", LinkProblem.NOT_A_URL),
    "a fragment alone": ("#next", LinkProblem.NOT_A_URL),
    "a URN": ("urn:uuid:6b0c9a3e-0000-4000-8000-000000000000", LinkProblem.NOT_A_URL),
    "a script": ("javascript:alert(1)", LinkProblem.NOT_A_URL),
    "a file": ("file:///fhir/Observation", LinkProblem.NOT_A_URL),
    "another scheme on the server's host": ("ftp://fhir-server.internal/fhir/Observation", LinkProblem.NOT_A_URL),
    "no host": ("http:///fhir/Observation", LinkProblem.NOT_A_URL),
    "half a surrogate pair": (f"{BASE}/Observation?x=\ud800", LinkProblem.NOT_A_URL),
    "an address that is none": ("http://[::1/fhir/Observation", LinkProblem.NOT_A_URL),
    "far too long": (f"{BASE}/Observation?x={'a' * 600_000}", LinkProblem.NOT_A_URL),
    "another host": ("http://evil.example/fhir/Observation?page=2", LinkProblem.OTHER_HOST),
    "another host without a scheme": ("//evil.example/fhir/Observation", LinkProblem.OTHER_HOST),
    "the host as a user name": (
        "http://fhir-server.internal:8080@evil.example/fhir/Observation",
        LinkProblem.OTHER_HOST,
    ),
    "the host as a beginning": ("http://fhir-server.internal.evil.example/fhir/Observation", LinkProblem.OTHER_HOST),
    "a path beside the base": ("http://fhir-server.internal:8080/admin/users", LinkProblem.OUTSIDE_BASE),
    "a path that begins like the base": (
        "http://fhir-server.internal:8080/fhirs/Observation",
        LinkProblem.OUTSIDE_BASE,
    ),
    "dots that leave the base": (f"{BASE}/../admin/users", LinkProblem.OUTSIDE_BASE),
    "encoded dots that leave the base": (f"{BASE}/%2e%2E/admin", LinkProblem.OUTSIDE_BASE),
    "a path on the host beside the base": ("/admin?x=1", LinkProblem.OUTSIDE_BASE),
    "dots that leave the base of another name": (
        "https://clinic.example/services/fhir/r4/../../admin",
        LinkProblem.OUTSIDE_BASE,
    ),
    "an operation": (f"{BASE}/Patient/b/$everything", LinkProblem.NOT_A_PLAIN_PATH),
    "a relative operation": ("Patient/b/$everything", LinkProblem.NOT_A_PLAIN_PATH),
    "an encoded operation": (f"{BASE}/Patient/b/%24everything", LinkProblem.NOT_A_PLAIN_PATH),
    "an operation behind a parameter": (f"{BASE}/Patient;a=b/$everything", LinkProblem.NOT_A_PLAIN_PATH),
    "dots with a parameter": (f"{BASE}/..;/admin", LinkProblem.OUTSIDE_BASE),
    "dots with a parameter, below the base": (f"{BASE}/Patient/..;/b", LinkProblem.NOT_A_PLAIN_PATH),
    "an encoded slash": (f"{BASE}/Observation%2f..%2f..%2fadmin", LinkProblem.NOT_A_PLAIN_PATH),
    "dots that are encoded twice": (f"{BASE}/%252e%252e/admin", LinkProblem.NOT_A_PLAIN_PATH),
    "a backslash": (f"{BASE}/Patient\\..\\admin", LinkProblem.NOT_A_PLAIN_PATH),
    "a line end in the path": (f"{BASE}/Observation\r\nX: y", LinkProblem.NOT_A_PLAIN_PATH),
    "a space in the path": (f"{BASE}/Observation HTTP/1.1", LinkProblem.NOT_A_PLAIN_PATH),
    "another application on a base that is a whole host": ("https://whole.example/admin", LinkProblem.NOT_A_PLAIN_PATH),
}


@pytest.mark.parametrize(("url", "problem"), REFUSED.values(), ids=REFUSED)
def test_what_leads_elsewhere_is_refused(url: str, problem: LinkProblem) -> None:
    with pytest.raises(UnusableLinkError) as refused:
        ADDRESSES.resolve(url, "/Observation")
    assert refused.value.problem is problem


def test_a_server_whose_base_is_its_whole_host_is_asked_for_fhir_alone() -> None:
    host = "http://fhir-server.internal:8080"
    assert AT_ROOT.resolve(f"{host}/Observation?page=2", "/Observation") == "/Observation?page=2"
    assert AT_ROOT.resolve(f"{host}?page=2", "/Observation") == "?page=2"
    assert AT_ROOT.resolve(f"{host}/__page/x", "/Observation") == "/__page/x"
    for path in ("/admin/users", "/actuator/env", "/Observation/../admin"):
        with pytest.raises(UnusableLinkError):
            AT_ROOT.resolve(host + path, "/Observation")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "LOCALHOST."])
def test_every_name_of_this_machine_is_the_same(host: str) -> None:
    addresses = ServerAddresses("http://127.0.0.1:8080/fhir")
    assert addresses.resolve(f"http://{host}:8080/fhir/Observation?page=2", "") == "/Observation?page=2"


def test_a_host_may_be_written_in_its_own_letters() -> None:
    addresses = ServerAddresses("http://xn--krankenhaus-kln-ltb.example/fhir")
    assert addresses.resolve("http://Krankenhaus-K\u00f6ln.example/fhir?page=2", "") == "?page=2"


def test_what_a_statement_names_may_be_no_url_at_all() -> None:
    addresses = ServerAddresses(BASE, ("", "urn:x", "http://[", "ftp://x/fhir", "not a URL"))
    assert addresses.resolve(f"{BASE}?page=2", "") == "?page=2"


_PLACES = ("/", "..", ".", "%2e", "%2F", "%5c", "\\", ";", ";a=b", "$everything", "Patient", "b", "?", "#", "@", ":")
_HOSTS = ("http://", "fhir-server.internal", "fhir-server.internal:8080", "evil.example", "/fhir", BASE, "\n", "ü", "%")
PIECES = st.sampled_from([*_PLACES, *_HOSTS])
PLAIN = re.compile(
    r"(/[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*)*(;[A-Za-z0-9_.\-]+(=[A-Za-z0-9_.~!\-]*)?)*(\?[!$%&-;=?-Z_a-z~]*)?"
)


@given(st.lists(PIECES, max_size=9).map("".join), st.sampled_from(["", "/Observation", "/Patient/a/Observation"]))
def test_nothing_but_a_plain_path_is_ever_asked_for(url: str, page: str) -> None:
    for addresses in (ADDRESSES, AT_ROOT):
        try:
            target = addresses.resolve(url, page)
        except UnusableLinkError:
            continue
        assert PLAIN.fullmatch(target), (url, target)


@given(st.from_regex(r"(/[A-Za-z]{1,5}){0,3}/?(\?[a-z=&%,:0-9]{0,9})?", fullmatch=True))
def test_the_short_way_for_common_links_is_the_long_way(rest: str) -> None:
    """The host in capitals is not the text of the base, so that it goes the long way."""
    assert ADDRESSES.resolve(BASE + rest, "") == ADDRESSES.resolve(BASE.replace("fhir-", "FHIR-") + rest, "")
