"""The command `smart-gateway`, also as `python -m gateway`."""

import sys


def main() -> None:
    """Run the command line. A file or socket that cannot be used is one sentence, and exit status 2."""
    if sys.version_info < (3, 11):  # noqa: UP036 - pip checks this only where it installs
        sys.exit(_refuse(f"smart-gateway needs Python 3.11 or newer; this is {sys.version.split()[0]}."))
    from gateway.commands.command_line import app  # noqa: PLC0415 - an older Python cannot read it

    try:
        app()
    except OSError as error:
        name = f"{error.filename}: " if error.filename is not None else ""
        sys.exit(_refuse(f"{name}{(error.strerror or str(error)).lower()}"))


def _refuse(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - the command line has not started
    return 2


if __name__ == "__main__":
    main()
