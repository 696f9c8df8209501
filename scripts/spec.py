"""Print which tests cover each requirement of SMART App Launch 2.2.0.

python -m scripts.spec            the table; exit 1 if a SHALL has neither a test nor a divergence
python -m scripts.spec --open     only the lines that have none of both
"""

import argparse
import sys

from tests.spec.manifest import Requirement, covering_tests, requirements

_MAX_TESTS = 2


def coverage_state(line: Requirement, tests: list[str]) -> str:
    """How the requirement is covered: tested, documented, diverges, or open."""
    if tests:
        return "tested"
    if line.documented:
        return "documented"
    return "diverges" if line.divergence else "open"


def format_row(line: Requirement, tests: list[str]) -> str:
    """One row of the table."""
    more = f" and {len(tests) - _MAX_TESTS} more" if len(tests) > _MAX_TESTS else ""
    answer = ", ".join(tests[:_MAX_TESTS]) + more if tests else line.documented or line.divergence or line.text
    return f"{line.id:<6} {line.level:<10} {coverage_state(line, tests):<10} {answer}"


def format_score(lines: list[Requirement], tests: dict[str, list[str]]) -> str:
    """How many of the requirements are covered."""
    covered = sum(coverage_state(line, tests.get(line.id, [])) != "open" for line in lines)
    return f"{covered} of {len(lines)}"


def main() -> int:
    """Print the table and the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--open", action="store_true", help="only the requirements that are not covered")
    only_open = parser.parse_args().open
    lines, tests = requirements(), covering_tests()
    for line in lines:
        line_tests = tests.get(line.id, [])
        if not only_open or coverage_state(line, line_tests) == "open":
            print(format_row(line, line_tests))
    mandatory = [line for line in lines if line.is_mandatory]
    recommended = [line for line in lines if line.is_recommended]
    print(f"SHALL {format_score(mandatory, tests)}, SHOULD {format_score(recommended, tests)}")
    return 1 if any(coverage_state(line, tests.get(line.id, [])) == "open" for line in mandatory) else 0


if __name__ == "__main__":
    sys.exit(main())
