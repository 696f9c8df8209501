"""Fill the tables of the README from the code, or check that they are as the code says.

python -m scripts.readme            write the tables
python -m scripts.readme --check    exit 1 where they differ
"""

import argparse
import sys
from pathlib import Path

from gateway.policy.reasons import ANSWERS
from gateway.settings.describe import settings_table

README = Path(__file__).resolve().parents[1] / "README.md"


def reasons_table() -> str:
    """Every reason with its status and sentence."""
    rows = [f"| `{reason}` | {answer.status} | {answer.sentence} |" for reason, answer in ANSWERS.items()]
    return "\n".join(["| reason | status | meaning |", "|---|---|---|", *rows])


def filled(text: str) -> str:
    """The README with its tables as the code says."""
    for name, table in (("settings", settings_table()), ("reasons", reasons_table())):
        opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(opening)
        after = rest.partition(closing)[2]
        text = f"{before}{opening}\n{table.strip()}\n{closing}{after}"
    return text


def main() -> int:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    text = README.read_text(encoding="utf-8")
    if text == filled(text):
        return 0
    if check:
        print("README.md: a table is not as the code says; run: python -m scripts.readme")
        return 1
    README.write_text(filled(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
