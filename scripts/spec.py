"""Print which test keeps each requirement of SMART App Launch 2.2.0.

python -m scripts.spec            the table; exit 1 where a SHALL has neither test nor divergence
python -m scripts.spec --open     only the lines that have neither
"""

import argparse
import sys

from tests.spec.manifest import Requirement, kept_by, requirements

_SHOWN = 2


def state(line: Requirement, tests: list[str]) -> str:
    """How the line is answered: tested, documented, diverges, or open."""
    if tests:
        return "tested"
    if line.documented:
        return "documented"
    return "diverges" if line.divergence else "open"


def row(line: Requirement, tests: list[str]) -> str:
    """One line of the table."""
    more = f" and {len(tests) - _SHOWN} more" if len(tests) > _SHOWN else ""
    told = ", ".join(tests[:_SHOWN]) + more if tests else line.documented or line.divergence or line.text
    return f"{line.id:<6} {line.level:<10} {state(line, tests):<10} {told}"


def score(lines: list[Requirement], tests: dict[str, list[str]]) -> str:
    """How many of the lines are answered, of all there are."""
    answered = sum(state(one, tests.get(one.id, [])) != "open" for one in lines)
    return f"{answered} of {len(lines)}"


def main() -> int:
    """Print the table and the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--open", action="store_true", help="only the lines that nothing answers")
    only_open = parser.parse_args().open
    lines, tests = requirements(), kept_by()
    for line in lines:
        kept = tests.get(line.id, [])
        if not only_open or state(line, kept) == "open":
            print(row(line, kept))
    musts = [one for one in lines if one.must]
    print(f"SHALL {score(musts, tests)}, SHOULD {score([one for one in lines if one.should], tests)}")
    return 1 if any(state(one, tests.get(one.id, [])) == "open" for one in musts) else 0


if __name__ == "__main__":
    sys.exit(main())
