"""Write what the gateway is made of as a CycloneDX SBOM, and the licences of it, and check both.

python -m scripts.bill_of_materials FOLDER    exit 1 where the SBOM is not what is locked, or a licence is not allowed

Both are about the packages of requirements/run.txt, as this environment has them installed.
"""

import json
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distribution, version
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from scripts.install_once import ROOT
from scripts.licences import licence_of, read_rules

PROJECT = "smart-fhir-gateway"
_LOCK = ROOT / "requirements" / "run.txt"
# How the names of files begin whose text must go along with a package.
_TEXTS = ("LICENSE", "LICENCE", "COPYING", "NOTICE")


def locked_versions() -> dict[str, str]:
    """The version of each package that is locked for running the gateway."""
    pins = re.findall(r"^([\w.-]+)==(\S+)", _LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return {str(canonicalize_name(name)): pinned for name, pinned in pins}


def build_bill() -> dict[str, Any]:
    """The SBOM in the JSON form of CycloneDX 1.6, validated by its schema. Raises `CalledProcessError`.

    It is read from an environment that has the metadata of the locked packages and of nothing else, so that what is
    installed for development is not in it.
    """
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder)
        site = Path(sysconfig.get_path("purelib", vars={"base": folder}))
        for name in (PROJECT, *locked_versions()):
            metadata = _metadata_folder(distribution(name))
            (site / metadata.name).symlink_to(metadata)
        command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--validate"]
        command += ["--spec-version", "1.6", "--pyproject", str(ROOT / "pyproject.toml")]
        done = subprocess.run([*command, f"{folder}/bin/python"], check=True, stdout=subprocess.PIPE)
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def _metadata_folder(package: Distribution) -> Path:
    """Where an installed package has its metadata: its `.dist-info`."""
    metadata = next(file for file in package.files or () if file.name == "METADATA")
    return Path(str(metadata.locate())).parent


def check_bill(bill: Mapping[str, Any]) -> Iterator[str]:
    """What the SBOM lacks or has too much of beside the lock, and each licence that is not allowed."""
    locked = locked_versions()
    listed = {str(canonicalize_name(component["name"])): component["version"] for component in bill["components"]}
    for name in sorted(locked.keys() | listed.keys()):
        if locked.get(name) != listed.get(name):
            yield f"{name}: {locked.get(name, 'nothing')} is locked, the SBOM has {listed.get(name, 'nothing')}"
    rules = read_rules()
    for component in bill["components"]:
        yield from licence_of(component, rules).problems
    for name in sorted(rules.clarified.keys() - listed.keys()):
        yield f"{name}: is clarified in requirements/licences.yaml, but is not distributed"


def licence_report(bill: Mapping[str, Any]) -> str:
    """A page with the licence of each package, and with the texts that must go along."""
    rules = read_rules()
    rows, texts = [], []
    for component in sorted(bill["components"], key=lambda one: canonicalize_name(one["name"])):
        name = component["name"]
        rows.append(f"| {name} | {component['version']} | {licence_of(component, rules).expression} |")
        for file, text in licence_texts(distribution(name)):
            texts.append(f"## {name}: {file}\n\n````\n{text.strip()}\n````\n")
    head = f"# Licences of what {PROJECT} {version(PROJECT)} runs with\n\n"
    return head + "\n".join(["| package | version | licence |", "|---|---|---|", *rows, "", *texts])


def licence_texts(package: Distribution) -> Iterator[tuple[str, str]]:
    """The files of licences and notices in a package's metadata, by name; older packages do not declare them."""
    for file in package.files or ():
        if ".dist-info" in file.parts[0] and file.name.upper().startswith(_TEXTS):
            yield file.name, file.read_text()


def main() -> int:
    """Write both files and check them."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    bill = build_bill()
    problems = list(check_bill(bill))
    for problem in problems:
        print(problem)
    if problems:
        return 1
    stem = f"{PROJECT}-{version(PROJECT)}"
    (folder / f"{stem}.cdx.json").write_text(json.dumps(bill, indent=2) + "\n", encoding="utf-8")
    (folder / f"{stem}-licences.md").write_text(licence_report(bill), encoding="utf-8")
    print(f"{stem}.cdx.json names the {len(bill['components'])} locked packages, and every licence is allowed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
