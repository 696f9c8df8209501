"""The wheel and the sdist: complete, with valid metadata, and usable where they are installed."""

import subprocess
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from scripts.distribution import build_distributions, check_command, check_sdist, check_wheel, install, make_venv
from tests.servers.process import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, which is built from the sdist, and the sdist."""
    return build_distributions(tmp_path_factory.mktemp("dist"))


def test_the_wheel_has_all_of_the_package_and_its_metadata(built: tuple[Path, Path]) -> None:
    assert list(check_wheel(built[0])) == []


def test_the_sdist_has_all_that_the_wheel_is_built_of(built: tuple[Path, Path]) -> None:
    assert list(check_sdist(built[1])) == []


def test_the_command_runs_where_the_wheel_is_installed_and_is_not_that_of_this_repository(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    python = make_venv(tmp_path / "venv")
    install(python, built[0], "--no-deps")
    # The dependencies are those of this environment; `make dist` fetches them. A path in a .pth file is searched last,
    # and no .pth file in it is read, so that the package is the installed one.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "venv")}))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    where = subprocess.run(
        [python, "-c", "import gateway; print(gateway.__file__)"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.strip() == str(site / "gateway" / "__init__.py")
    assert list(check_command(python)) == []


def test_what_is_missing_or_does_not_belong_there_is_named(built: tuple[Path, Path], tmp_path: Path) -> None:
    damaged = tmp_path / built[0].name
    with zipfile.ZipFile(built[0]) as whole, zipfile.ZipFile(damaged, "w") as archive:
        for name in whole.namelist():
            if name != "gateway/scopes/grammar.lark":
                archive.writestr(name, whole.read(name))
        archive.writestr("tests/secret.py", "")
    assert list(check_wheel(damaged)) == [
        f"{damaged.name} lacks gateway/scopes/grammar.lark",
        f"{damaged.name} has tests/secret.py, which does not belong there",
    ]


def test_every_python_that_is_supported_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [text.rpartition(" ")[2] for text in project["classifiers"] if text.startswith("Programming Language")]
    assert named[:2] == ["3", project["requires-python"].removeprefix(">=")]
