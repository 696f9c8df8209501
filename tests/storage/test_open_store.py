"""URLs of stores: what they name, and which are refused without being quoted."""

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.storage.backends.memory_store import MemoryStore
from gateway.storage.backends.open_store import StoreUrlError, open_store, parse_servers
from gateway.storage.backends.redis_servers import Cluster, Host, RedisCredentials, Sentinels, Servers, Standalone
from gateway.storage.backends.redis_store import RedisStore
from tests.certificates.authority import Authority

NAMED: list[tuple[str, Servers]] = [
    ("redis://store", Standalone(Host("store", 6379))),
    ("redis://store/", Standalone(Host("store", 6379))),
    ("redis://store:7000/3", Standalone(Host("store", 7000), 3)),
    ("redis://[::1]:7000", Standalone(Host("::1", 7000))),
    ("redis://:pw@store", Standalone(Host("store", 6379), 0, RedisCredentials(None, "pw"))),
    ("redis://me:p%40%2F%3A@store", Standalone(Host("store", 6379), 0, RedisCredentials("me", "p@/:"))),
    ("redis+sentinel://a/main", Sentinels((Host("a", 26379),), "main")),
    (
        "redis+sentinel://me:pw@a:1,b:2,[::1]:3/main/4",
        Sentinels((Host("a", 1), Host("b", 2), Host("::1", 3)), "main", 4, RedisCredentials("me", "pw")),
    ),
    ("redis+cluster://a,b:7000", Cluster((Host("a", 6379), Host("b", 7000)))),
    ("redis+cluster://:pw@a", Cluster((Host("a", 6379),), RedisCredentials(None, "pw"))),
]

REFUSED = [
    "",
    "memory",
    "memory://host",
    "memory://?x=1",
    "redis:",
    "redis://",
    "redis://:7000",
    "redis://a,b",
    "redis://a:0",
    "redis://a:65536",
    "redis://a:port",
    "redis://a/b",
    "redis://a/-1",
    "redis://a/1/2",
    "redis://a/٣",
    "redis://a?db=1",
    "redis://a#1",
    "redis://user@a",
    "redis://user:@a",
    "redis://[::1",
    "redis://a\u2100b",
    "rediss+cluster://a/0",
    "rediss+sentinel://a",
    "rediss+tcp://a",
    "redis+sentinel://a",
    "redis+sentinel://a/",
    "redis+sentinel://a/main/x",
    "redis+sentinel://a/main/1/2",
    "redis+sentinel://a,,b/main",
    "redis+cluster://a/0",
    "redis+cluster://",
    "http://a",
    "valkey://a",
    "unix:///run/redis.sock",
]


def test_memory_is_named_by_its_scheme_alone() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)


@pytest.mark.parametrize(("url", "servers"), NAMED, ids=[url for url, _ in NAMED])
def test_a_url_names(url: str, servers: Servers) -> None:
    assert parse_servers(url) == servers
    assert isinstance(open_store(url), RedisStore)


@pytest.mark.parametrize("url", REFUSED)
def test_any_other_url_is_refused(url: str) -> None:
    with pytest.raises(StoreUrlError, match="A store is memory://"):
        open_store(url)


@pytest.mark.parametrize("url", ["rediss://store", "rediss+sentinel://store/main", "rediss+cluster://store"])
def test_tls_trusts_the_authorities_of_the_file_and_no_others(tmp_path: Path, url: str) -> None:
    servers = parse_servers(url, str(Authority(tmp_path, "own").file))
    assert servers.tls is not None
    assert [certificate["subject"] for certificate in servers.tls.get_ca_certs()] == [((("commonName", "own"),),)]
    assert servers.tls.check_hostname


def test_a_file_of_authorities_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(StoreUrlError, match=name):
            open_store("rediss://store", ca_file=str(tmp_path / name))


@pytest.mark.parametrize("url", ["memory://", "redis://a", "redis+sentinel://a/main", "redis+cluster://a"])
def test_a_file_of_authorities_without_tls_is_refused(url: str) -> None:
    with pytest.raises(StoreUrlError, match="begins with rediss speaks TLS"):
        open_store(url, ca_file="authorities.pem")


@given(st.text() | st.sampled_from(NAMED).map(lambda named: named[0]).flatmap(lambda url: st.text().map(url.__add__)))
def test_any_text_is_a_store_or_refused(url: str) -> None:
    try:
        parse_servers(url)
    except StoreUrlError:
        return


@given(
    password=st.from_regex(r"[ -~]{0,8}Xq7[ -~]{1,8}", fullmatch=True),
    form=st.sampled_from(
        ["redis://me:{}@a", "redis://me:{}@a:bad", "redis+sentinel://:{}@a", "{}://a", "redis://{}", "{}", "redis:{}"]
    ),
)
def test_no_message_repeats_a_password(password: str, form: str) -> None:
    try:
        servers = parse_servers(form.format(password))
    except StoreUrlError as error:
        assert "Xq7" not in str(error)
        assert error.__cause__ is None
    else:
        assert "Xq7" not in repr(servers) or "@" not in form


@given(user=st.text(min_size=1), password=st.text(min_size=1))
def test_user_and_password_may_be_any_text_percent_encoded(user: str, password: str) -> None:
    servers = parse_servers(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@a")
    assert servers.credentials == RedisCredentials(user, password)
    assert repr(servers) == repr(parse_servers(f"redis://{quote(user, safe='')}:other@a"))
