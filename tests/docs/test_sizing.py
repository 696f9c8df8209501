"""The figures of docs/sizing.md are measured ones."""

import re
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")

# The rows of the sizing table, and what of the benchmark each is: name, peer, and the entries of a page where the
# benchmark counts by entry.
MEASURED = {
    "a read of 2 KB": ("read-2kb", "envoy", 1),
    "a search page of 20 entries, 60 KB": ("bundle-60kb", "envoy", 1),
    "the next page of 20, by its link": ("page-of-20", "asked-directly", 1),
    "a search page of 500 entries": ("entries-500", "entries-20", 500),
    "a token for a backend service": ("token-client-credentials", "signature+store", 1),
    "a code exchanged, with an id_token": ("token-code-exchange", "signature+store", 1),
}


def test_the_figures_for_sizing_are_those_of_the_last_benchmark() -> None:
    results = orjson.loads((ROOT / "bench" / "results" / "latest.json").read_bytes())["rows"]
    measured = {(row["name"], row["peer"]): row for row in results}
    table = TEXT.partition("<!-- sizing -->")[2].partition("<!-- /sizing -->")[0]
    rows = re.findall(r"^\| (.+?) \| ([\d,]+) µs \| ([\d,]+) \|$", table, re.MULTILINE)
    assert [what for what, _, _ in rows] == list(MEASURED)
    for what, microseconds, rate in rows:
        name, peer, entries = MEASURED[what]
        row = measured[name, peer]
        assert int(microseconds.replace(",", "")) == pytest.approx(row["ours_us"] * entries, rel=0.05), what
        assert int(rate.replace(",", "")) == pytest.approx(row["ours_rps"], rel=0.05), what
