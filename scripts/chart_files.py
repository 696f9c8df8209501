"""Write what the Helm chart has from the rest of the project, or check that it is the same.

python -m scripts.chart_files            write the files
python -m scripts.chart_files --check    exit 1 where one differs

These are the schema of `config` in values.schema.json, from the model of the settings; the table of the values in
README.md; and the rules and the dashboard of deploy/monitoring, because a chart holds all that it installs.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.scopes.resource_types import RESOURCE_TYPES
from gateway.settings.model import Settings
from scripts.values_table import values_table

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy" / "helm" / "smart-fhir-gateway"
MONITORING = ROOT / "deploy" / "monitoring"

_PLACE = "#/$defs/gateway/$defs/"
# What the templates decide: see templates/_config.tpl.
_DECIDED_BY_THE_CHART = {
    "Listen": {"port", "tls"},
    "MetricsListen": {"port"},
    "SmartServer": {"store", "store_ca_file", "signing_key_file", "admin_token"},
    "Paging": {"key"},
    "Audit": {"hash_key"},
}
# What is of no use in a schema of values: the names of pydantic, and defaults, which the gateway has itself.
_LEFT_OUT = {"title", "default", "discriminator", "writeOnly"}


def settings_schema() -> dict[str, Any]:
    """The JSON Schema of the gateway's settings as values of the chart. A secret is the path of a file alone."""
    schema = Settings.model_json_schema(ref_template=_PLACE + "{model}")
    sections = {name: _section(name, section) for name, section in schema.pop("$defs").items()}
    sections["ResourceType"] = {"type": "string", "enum": sorted(RESOURCE_TYPES)}
    return {**_section("Settings", schema), "$defs": dict(sorted(sections.items()))}


def _section(name: str, section: dict[str, Any]) -> dict[str, Any]:
    if "properties" not in section:
        return dict(_plain(section))
    required, properties = set(section.get("required", ())), {}
    for key, value in section["properties"].items():
        if key in _DECIDED_BY_THE_CHART.get(name, ()):
            continue
        if _is_secret(value):
            text = f"{value['description']} The path of the file that holds it."
            properties[f"{key}_file"] = {"type": "string", "description": text, "pattern": "^/"}
            required = {f"{key}_file" if one == key else one for one in required}
        else:
            properties[key] = _plain(value)
    kept = {key: value for key, value in section.items() if key not in {"properties", "required"}}
    return {**_plain(kept), "properties": properties, **({"required": sorted(required)} if required else {})}


def _is_secret(value: Mapping[str, Any]) -> bool:
    return any(one.get("format") == "password" for one in (value, *value.get("anyOf", ())))


def _plain(value: Any) -> Any:
    if isinstance(value, dict) and value.get("enum") == sorted(RESOURCE_TYPES):
        return {"$ref": f"{_PLACE}ResourceType"}
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items() if key not in _LEFT_OUT}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def values_schema() -> str:
    """values.schema.json with the settings as the code has them; the rest is written by hand."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    schema["$defs"]["gateway"] = settings_schema()
    return json.dumps(schema, indent=2) + "\n"


def readme() -> str:
    """README.md with the table of values.yaml."""
    before, _, rest = (CHART / "README.md").read_text(encoding="utf-8").partition("<!-- values -->\n")
    after = rest.partition("<!-- /values -->")[2]
    return f"{before}<!-- values -->\n{values_table(CHART / 'values.yaml')}\n<!-- /values -->{after}"


FILES: Mapping[Path, Callable[[], str]] = {
    CHART / "values.schema.json": values_schema,
    CHART / "README.md": readme,
    CHART / "files" / "rules.yaml": lambda: (MONITORING / "rules.yaml").read_text(encoding="utf-8"),
    CHART / "files" / "dashboard.json": lambda: (MONITORING / "dashboard.json").read_text(encoding="utf-8"),
}


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    differing = [file for file, content in FILES.items() if not file.exists() or file.read_text("utf-8") != content()]
    for file in differing:
        print(f"{file.relative_to(ROOT)} {'differs' if check else 'is written'}")
        if not check:
            file.write_text(FILES[file](), encoding="utf-8")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
