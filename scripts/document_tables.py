"""Write the tables of the documentation from the code and the last benchmark, or check that they say the same.

python -m scripts.document_tables            write the tables, and record new names in docs/published-names.txt
python -m scripts.document_tables --check    exit 1 where one differs, or a published name is gone
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.hapi_results import hapi_table
from gateway.policy.refusal_texts import REFUSAL_TEXTS
from gateway.policy.remedies import REMEDIES
from gateway.settings.enforcement.operation_entry import OperationEntry
from gateway.settings.enforcement.operations import shipped_operations
from gateway.settings.loading.settings_table import settings_table
from gateway.telemetry.server_event import EVENT_TEXTS, REFUSALS
from scripts import admin_api
from scripts.published_names import current_problems, record_new_names

ROOT = Path(__file__).resolve().parents[1]


def reasons_table() -> str:
    """Every reason with its status, its sentence and what helps."""
    rows = [
        f"| `{reason}` | {text.status} | {text.sentence} | {REMEDIES.get(reason, '')} |"
        for reason, text in REFUSAL_TEXTS.items()
    ]
    return "\n".join(["| reason | status | meaning | what helps |", "|---|---|---|---|", *rows])


def events_table() -> str:
    """Every event of the SMART server, with the fields of its audit line."""
    rows = [
        f"| `{kind}` | {text.meaning} | {', '.join(f'`{name}`' for name in text.fields)} | "
        f"{'yes' if kind in REFUSALS else ''} |"
        for kind, text in EVENT_TEXTS.items()
    ]
    return "\n".join(["| event | what happened | fields, where known | refusal |", "|---|---|---|---|", *rows])


def operations_table() -> str:
    """Every operation of the shipped manifest."""
    rows = [_operation_row(address, entry) for address, entry in shipped_operations().items()]
    return "\n".join(["| operation | needs | by | parameters | answer |", "|---|---|---|---|---|", *rows])


def _operation_row(address: str, entry: OperationEntry) -> str:
    needs = ", ".join(f"`{need}`" for need in entry.needs or ())
    methods = ", ".join(entry.methods or ("GET", "POST"))
    parameters = ", ".join(
        f"`{name}`" + (f" ({words})" if words in {"types 0..*", "patient", "patient 1..1"} else "")
        for name, words in (entry.parameters or {}).items()
    )
    types = f" of {', '.join(entry.answer_types)}" if entry.answer_types else ""
    off = ", **off**" if entry.enabled is False else ""
    return f"| `{address}`{off} | {needs} | {methods} | {parameters} | `{entry.answer}`{types} |"


# The page of each table, and the name of the markers around it.
TABLES: Mapping[Path, tuple[str, Callable[[], str]]] = {
    ROOT / "docs" / "settings.md": ("settings", settings_table),
    ROOT / "docs" / "reasons.md": ("reasons", reasons_table),
    ROOT / "docs" / "events.md": ("events", events_table),
    ROOT / "docs" / "operations.md": ("operations", operations_table),
    ROOT / "docs" / "performance.md": ("beside-hapi", hapi_table),
}


def with_table(page: Path) -> str:
    """The text of a page with its table as the code has it."""
    name, table = TABLES[page]
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(opening)
    after = rest.partition(closing)[2]
    return f"{before}{opening}\n{table().strip()}\n{closing}{after}"


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    status = 0
    for page in TABLES:
        text = with_table(page)
        if text == page.read_text(encoding="utf-8"):
            continue
        if check:
            print(f"{page.relative_to(ROOT)}: the table differs from the code; run: python -m scripts.document_tables")
            status = 1
        else:
            page.write_text(text, encoding="utf-8")
    if admin_api.FILE.read_text(encoding="utf-8") != (described := admin_api.description_text()):
        if check:
            print(f"{admin_api.FILE.relative_to(ROOT)} differs from the code; run: python -m scripts.document_tables")
            status = 1
        else:
            admin_api.FILE.write_text(described, encoding="utf-8")
    if not check:
        record_new_names()
    for problem in current_problems():
        print(problem)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
