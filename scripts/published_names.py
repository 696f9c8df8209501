"""The names that others rely on, as the code has them and as docs/published-names.txt records them.

python -m scripts.published_names            record what is new
python -m scripts.published_names --check    exit 1 where one is new, gone, or badly deprecated

docs/stability.md says what is promised. Nothing here removes a name from the record.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from cyclopts import App
from packaging.version import Version

from gateway.commands.command_line import app
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from gateway.settings.loading.settings_table import describe_settings
from gateway.telemetry.server_event import EVENT_TEXTS

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "docs" / "published-names.txt"
PROMISE = ROOT / "docs" / "stability.md"
_METHODS = {"get", "post", "put", "patch", "delete"}


@dataclass(frozen=True, slots=True, order=True)
class PublishedName:
    """A name and what kind of thing has it."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Deprecation:
    """A name that goes: since when that is told, and the version that no longer has it."""

    of: PublishedName
    told_in: Version
    gone_in: Version


def names_of_the_code() -> set[PublishedName]:
    """Every name that is promised, as the code has it now."""
    found = {
        "setting": (setting.key for setting in describe_settings()),
        "reason": (f"{reason} {text.status}" for reason, text in REFUSAL_TEXTS.items()),
        "event": (kind.value for kind in EVENT_TEXTS),
        "metric": _metrics(),
        "audit-field": _audit_fields(),
        "command": _commands(app, ""),
        "chart-value": _chart_values(),
        "endpoint": _endpoints(),
    }
    return {PublishedName(kind, name) for kind, names in found.items() for name in names}


def _metrics() -> Iterator[str]:
    """Each metric, and each of its labels: what is given to a family beside its name."""
    for path in sorted((ROOT / "gateway" / "telemetry").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = node.args[0].value
            if not isinstance(name, str) or not name.startswith("smart_gateway_"):
                continue
            yield name
            for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                if isinstance(value, ast.Tuple):
                    labels = (ast.literal_eval(label) for label in value.elts if isinstance(label, ast.Constant))
                    yield from (f"{name}{{{label}}}" for label in labels)


def _audit_fields() -> Iterator[str]:
    """The fields of events, and those of the line of a request from its table, which a test holds equal to the code."""
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    table = page[page.index("| field |") :].partition("\n\n")[0]
    for row in table.splitlines()[2:]:
        yield from re.findall(r"`(\w+)`", row.split("|")[1])
    for text in EVENT_TEXTS.values():
        yield from text.fields


def _commands(group: App, before: str) -> Iterator[str]:
    """Each command, and each of its options by its long name."""
    for word in group:
        if word.startswith("-"):
            continue
        command = group[word]
        name = f"{before}{word}"
        yield name
        if command.default_command is not None:
            for argument in command.assemble_argument_collection():
                yield f"{name} {argument.name}"
        yield from _commands(command, f"{name} ")


def _chart_values() -> Iterator[str]:
    chart = (ROOT / "deploy" / "helm" / "smart-fhir-gateway" / "README.md").read_text(encoding="utf-8")
    table = chart.partition("<!-- values -->")[2].partition("<!-- /values -->")[0]
    yield from re.findall(r"^\| `([\w.-]+)` \|", table, re.MULTILINE)


def _endpoints() -> Iterator[str]:
    """The methods and paths of the APIs that docs/openapi.yaml and docs/admin-openapi.json describe."""
    for file, prefix in (("openapi.yaml", ""), ("admin-openapi.json", "/api")):
        # JSON is YAML.
        document = yaml.safe_load((ROOT / "docs" / file).read_text(encoding="utf-8"))
        for path, methods in document["paths"].items():
            yield from (f"{method.upper()} {prefix}{path}" for method in methods if method in _METHODS)


def running_version() -> Version:
    """The version of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return Version(project["version"])


def read_record() -> dict[PublishedName, Version]:
    """Each recorded name and the version that had it first."""
    lines = RECORD.read_text(encoding="utf-8").splitlines()
    recorded = {}
    for line in lines:
        if line and not line.startswith("#"):
            kind, rest = line.split(" ", 1)
            name, since = rest.rsplit(" ", 1)
            recorded[PublishedName(kind, name)] = Version(since)
    return recorded


def read_deprecations(page: str) -> dict[PublishedName, Deprecation]:
    """The rows of the table of what goes, in docs/stability.md."""
    rows = re.findall(r"^\| `([a-z-]+) ([^`]+)` \| (\d+\.\d+\.\d+) \| (\d+\.\d+\.\d+) \|", page, re.MULTILINE)
    found = (Deprecation(PublishedName(kind, name), Version(told), Version(gone)) for kind, name, told, gone in rows)
    return {deprecation.of: deprecation for deprecation in found}


def broken_promises(
    present: set[PublishedName],
    recorded: Mapping[PublishedName, Version],
    deprecated: Mapping[PublishedName, Deprecation],
    version: Version,
) -> Iterator[str]:
    """A sentence for each name that is gone without notice, deprecated for too short a time, or not yet recorded."""
    for name in sorted(recorded.keys() - present):
        deprecation = deprecated.get(name)
        if deprecation is None:
            yield (
                f"{name} is published since {recorded[name]} and is gone. Put it back, and deprecate it by a row of "
                "docs/stability.md; it goes after one more minor release. If no release has had it yet, take its line "
                "out of docs/published-names.txt"
            )
        elif version < deprecation.gone_in:
            yield f"{name} was promised to work until {deprecation.gone_in}, and this is {version}. Put it back"
    for name, deprecation in sorted(deprecated.items()):
        if name not in recorded:
            yield f"{name} is deprecated in docs/stability.md, but was never published"
        if deprecation.gone_in.release[:2] <= deprecation.told_in.release[:2]:
            yield f"{name} must work for a minor release after {deprecation.told_in}; {deprecation.gone_in} is too soon"
    for name in sorted(present - recorded.keys()):
        yield f"{name} is new: python -m scripts.published_names records it"


def current_problems() -> list[str]:
    """What is wrong with the names of this repository."""
    deprecated = read_deprecations(PROMISE.read_text(encoding="utf-8"))
    return list(broken_promises(names_of_the_code(), read_record(), deprecated, running_version()))


def record_new_names() -> None:
    """Add to the record what is not in it, with the version of now."""
    recorded, version = read_record(), running_version()
    added = {name: version for name in names_of_the_code() if name not in recorded}
    if added:
        head = [line for line in RECORD.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        lines = [f"{name} {since}" for name, since in sorted((recorded | added).items())]
        RECORD.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


def main() -> int:
    """Record or check."""
    if "--check" not in sys.argv[1:]:
        record_new_names()
    problems = current_problems()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
