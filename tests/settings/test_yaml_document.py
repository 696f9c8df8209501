"""YAML is read to a value or to a problem, never to an exception."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings.loading.load import SettingsError, load_settings
from gateway.settings.loading.problem import SettingsDocument, SourceLocation
from gateway.settings.loading.yaml_document import parse_yaml
from tests.settings.configuration import LEAST, load, problems

FILES = {
    "not UTF-8": (b"\xff", "gateway.yaml: cannot be read: it is not UTF-8 text"),
    "a control character": (
        b"a: \x01",
        "gateway.yaml: is not valid YAML: it holds characters that YAML does not allow",
    ),
    "a list": (b"- a", "gateway.yaml: must be a mapping of settings"),
    "a single value": (b"a", "gateway.yaml: must be a mapping of settings"),
    "two documents": (
        b"a: 1\n---\nb: 2",
        "gateway.yaml:2: is not valid YAML: expected a single document in the stream, but found another document",
    ),
    "a tab": (
        b"a:\n\tb: 1",
        "gateway.yaml:2: is not valid YAML: while scanning for the next token, found character '\\t' that cannot start "
        "any token",
    ),
    "nested without end": (b"[" * 5000, "gateway.yaml: is nested too deeply"),
}


@pytest.mark.parametrize(("content", "problem"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_configuration(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    assert [str(error).replace(f"{tmp_path}/", "") for error in caught.value.problems] == [problem]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "nothing.yaml", {})
    assert str(caught.value) == f"{tmp_path}/nothing.yaml: cannot be read: no such file or directory"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert load(tmp_path, f"\ufeff{LEAST}") == load(tmp_path, LEAST)


ALIAS = "is an alias (*) of another value; write the value out"
TAG = "has a YAML tag (!), which has no meaning here; quote it if it is text"
TWICE = "log_level: is given twice (first on line 8)"

ADDED = {
    "a key twice": ("log_level: info\nlog_level: debug", f"9: {TWICE}"),
    "a key twice, once in quotes": ("log_level: info\n'log_level': info", f"9: {TWICE}"),
    "an alias": ("listen: &x {port: 1}\nmetrics: *x", f"9: metrics: {ALIAS}"),
    "an alias of itself": ("listen: &x {port: *x}", f"8: listen.port: {ALIAS}"),
    "a merge": ("listen: {<<: {port: 1}}", "8: listen.<<: is not a setting"),
    "a tag": ("log_level: !!python/name:os.system x", f"8: log_level: {TAG}"),
    "a key that is a list": ("? [a]\n: b", "8: has a key that is not text"),
    "an escaped control character": ('log_level: "in\\efo"', "8: log_level: holds control characters"),
    "half a character": ('log_level: "\\ud800"', "8: log_level: holds control characters"),
    "a date": ("log_level: 2020-01-01", "8: log_level: must be 'debug', 'info', 'warning' or 'error'"),
}


@pytest.mark.parametrize(("text", "problem"), ADDED.values(), ids=ADDED)
def test_what_could_have_two_meanings_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, f"{LEAST}{text}\n") == [f"gateway.yaml:{problem}"]


def test_aliases_cannot_make_a_small_file_huge(tmp_path: Path) -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    assert problems(tmp_path, f"l0: &l0 [x]\n{levels}")


NUMBERS = {
    "a whole number": ("12", 12),
    "a negative number": ("-3", -3),
    "a fraction": ("1.5", 1.5),
    "a number with an exponent": ("1.0e+3", 1000.0),
    "octal stays text": ("0644", "0644"),
    "hexadecimal stays text": ("0x1f", "0x1f"),
    "minutes and seconds stay text": ("1:30", "1:30"),
    "digits set apart stay text": ("1_000", "1_000"),
    "no number stays text": (".nan", ".nan"),
    "truth": ("yes", True),
    "untruth": ("off", False),
    "nothing": ("~", None),
    "text": ("'12'", "12"),
}


@pytest.mark.parametrize(("text", "value"), NUMBERS.values(), ids=NUMBERS)
def test_single_values(text: str, value: object) -> None:
    document = SettingsDocument()
    parsed = parse_yaml(text, ("x",), SourceLocation(), document)
    assert (parsed, type(parsed), document.problems) == (value, type(value), [])


PIECES = [*"a0,#|>'\"\\[]{}\n\u2028", "b: ", ": ", "- ", "? ", "  ", "&a ", "*a", "!x ", "---"]


@given(st.lists(st.sampled_from(PIECES), max_size=20).map("".join) | st.text(max_size=30))
def test_any_text_gives_a_value_or_a_problem(text: str) -> None:
    document = SettingsDocument()
    parse_yaml(text, (), SourceLocation(file="x"), document)
    assert all(str(problem).startswith("x") for problem in document.problems)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["upstream", "issuers", "listen", "compartments", "paging", "audit", "cors", "kind", "x"])


@given(
    st.dictionaries(NAMES, VALUES, max_size=5),
    st.dictionaries(
        st.lists(
            st.sampled_from(["UPSTREAM", "ISSUERS", "0", "POOL", "AUTHENTICATION", "KIND", "CORS", ""]), max_size=4
        )
        .map("__".join)
        .map("SMART_GATEWAY__{}".format),
        st.text(max_size=10),
        max_size=3,
    ),
)
def test_any_configuration_gives_settings_or_problems(values: dict[str, object], environ: dict[str, str]) -> None:
    import tempfile

    import yaml

    with tempfile.TemporaryDirectory() as directory:
        assert all(problems(Path(directory), yaml.safe_dump(values, allow_unicode=True), environ))
