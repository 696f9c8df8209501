"""Build the wheel and the sdist, and check them: what is in them, and whether the command runs where it is installed.

python -m scripts.distribution FOLDER    exit 1 where something is missing, superfluous or does not run
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.metadata import Metadata
from packaging.requirements import Requirement

from scripts.install_once import ROOT

# Beside the package, a source distribution has what is needed to build it and to read about it.
_SOURCES = {"LICENSE", "README.md", "pyproject.toml"}
# What setuptools writes there itself.
_MADE = ("PKG-INFO", "setup.cfg", "smart_fhir_gateway.egg-info/")
# What is in the package's folders for its developers alone: sources of catalogues, notes on tables.
_LEFT_OUT = {".md", ".po"}


def package_files() -> set[str]:
    """All files that the package is made of, as paths below the top of the repository."""
    found = (path for path in (ROOT / "gateway").rglob("*") if path.suffix not in _LEFT_OUT and path.is_file())
    return {path.relative_to(ROOT).as_posix() for path in found if "__pycache__" not in path.parts}


def build_distributions(folder: Path) -> tuple[Path, Path]:
    """Build both into an empty folder: the sdist, and from it the wheel. Raises `CalledProcessError`.

    A copy is built, because setuptools writes beside its sources, and so that nothing of an earlier build gets in.
    """
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(ROOT / "gateway", Path(copy, "gateway"), ignore=shutil.ignore_patterns("__pycache__"))
        for name in _SOURCES:
            shutil.copy(ROOT / name, copy)
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), copy]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    assert len(wheels) == len(sdists) == 1, f"{folder} must have one wheel and one sdist"
    return wheels[0], sdists[0]


def check_wheel(wheel: Path) -> Iterator[str]:
    """What is wrong with the files and the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        text = archive.read(metadata)
    yield from _differences(wheel.name, package_files(), names)
    yield from _check_metadata(text)


def check_sdist(sdist: Path) -> Iterator[str]:
    """What is wrong with the files of an sdist."""
    with tarfile.open(sdist) as archive:
        paths = (member.name.partition("/")[2] for member in archive.getmembers() if member.isfile())
        names = {path for path in paths if not path.startswith(_MADE)}
    yield from _differences(sdist.name, package_files() | _SOURCES, names)


def _differences(archive: str, expected: set[str], found: set[str]) -> Iterator[str]:
    yield from (f"{archive} lacks {name}" for name in sorted(expected - found))
    yield from (f"{archive} has {name}, which does not belong there" for name in sorted(found - expected))


def _check_metadata(text: bytes) -> Iterator[str]:
    """Validates against the specification of core metadata, and compares with pyproject.toml."""
    metadata = Metadata.from_email(text, validate=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    run_time = {str(needed) for needed in metadata.requires_dist or [] if needed.marker is None}
    if run_time != {str(Requirement(needed)) for needed in project["dependencies"]}:
        yield "the wheel does not require what pyproject.toml does"
    if (metadata.license_expression, metadata.license_files) != ("Apache-2.0", ["LICENSE"]):
        yield "the license is not stated"
    if metadata.description_content_type != "text/markdown" or not metadata.description:
        yield "the README is not the description"
    for field in ("summary", "keywords", "classifiers", "requires_python"):
        if not getattr(metadata, field):
            yield f"{field} is missing"


def make_venv(folder: Path) -> Path:
    """The interpreter of a new virtual environment."""
    venv.create(folder)
    return folder / "bin" / "python"


def install(python: Path, distribution: Path, *options: str) -> None:
    """Install a wheel or an sdist into the environment of `python`."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command += ["--disable-pip-version-check", *options]
    subprocess.run([*command, str(distribution)], check=True)


def check_command(python: Path) -> Iterator[str]:
    """What does not run of the installed command, far from the repository."""
    command = python.with_name("smart-gateway")
    config = str(ROOT / "config" / "gateway.yaml")
    for words, expected in ((["--help"], "check-config"), (["check-config", "--config", config], "is valid")):
        with tempfile.TemporaryDirectory() as elsewhere:
            done = subprocess.run([command, *words], capture_output=True, text=True, cwd=elsewhere, check=False)
        if done.returncode != 0 or expected not in done.stdout:
            yield f"smart-gateway {words[0]} exits with {done.returncode}: {done.stdout}{done.stderr}"


def main() -> int:
    """Build and check both, and the command of the wheel in a new environment with its dependencies."""
    wheel, sdist = build_distributions(Path(sys.argv[1]))
    problems = [*check_wheel(wheel), *check_sdist(sdist)]
    with tempfile.TemporaryDirectory() as folder:
        python = make_venv(Path(folder))
        install(python, wheel)
        problems += check_command(python)
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{wheel.name} and {sdist.name} are complete, and the command runs where the wheel is installed.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
