"""Builds the gateway's image from the Dockerfile: with the registry's base, or without a registry on a stand-in.

`make image` builds it as anybody would. `python -m scripts.image --stand-in` needs no registry: a base of the same name
is made of Debian's own Python, once, in a cache outside of the clone. Tests build and run the image on that.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from scripts.install_once import ROOT, NotAvailable, install_once, say

CACHE = Path(
    os.environ.get("SMART_GATEWAY_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "smart-fhir-gateway")
)
IMAGE = "localhost/smart-fhir-gateway:test"

_TOOLS = ("buildah", "podman", "runc", "mmdebstrap")
_PACKAGES = (*_TOOLS, "iptables", "netavark", "aardvark-dns", "catatonit", "uidmap")
# What the machine trusts, and where its pip looks: for the build alone, not in the image.
_FILES_OF_THE_MACHINE = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
_LEFT_OUT = ("man", "doc", "locale")
_LINKS = (
    'ln -s /usr/bin/python3 "$1/usr/local/bin/python3"; ln -s /usr/bin/python3 "$1/usr/local/bin/python"; '
    'ln -s /usr/bin/pip3 "$1/usr/local/bin/pip"; rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED'
)
_PATH = "PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"


def base_name() -> str:
    """The base of the Dockerfile, such as `python:3.13-slim-trixie`."""
    [name] = set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    return str(name)


def install_tools() -> None:
    """Install what builds and runs images, where root may do that. Raises `NotAvailable`."""
    if all(map(shutil.which, _TOOLS)):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NotAvailable(f"{', '.join(_TOOLS)} are needed; `apt-get install {' '.join(_PACKAGES)}` installs them.")
    say(f"Installing {', '.join(_PACKAGES)} ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]
    for words in (["update"], ["install", "-y", "--no-install-recommends", *_PACKAGES]):
        if subprocess.run([*apt, *words], env=environment, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            raise NotAvailable(f"{', '.join(_TOOLS)} are needed and could not be installed.")


def require_containers() -> None:
    """Raise `NotAvailable` unless images can be built and run here, with what is missing."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0:
        raise NotAvailable("Only root can build the stand-in of the base image.")
    if missing:
        raise NotAvailable(f"{', '.join(missing)} are missing on this machine; `make test-image` installs them.")


def environment() -> dict[str, str]:
    """The environment for podman and buildah. Their defaults need systemd and limits that a container may not have."""
    files, processes = _limit(resource.RLIMIT_NOFILE, 20_000), _limit(resource.RLIMIT_NPROC, 4096)
    CACHE.mkdir(parents=True, exist_ok=True)
    configuration = CACHE / "containers.conf"
    configuration.write_text(
        f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
        encoding="ascii",
    )
    return {**os.environ, "CONTAINERS_CONF": str(configuration)}


def _limit(kind: int, most: int) -> int:
    """A limit that may be set here."""
    hard = resource.getrlimit(kind)[1]
    return most if hard == resource.RLIM_INFINITY else min(hard, most)


def make_stand_in() -> None:
    """Make sure that there is a base of the right name, here or as a stand-in of Debian's packages."""
    name = f"localhost/{base_name()}"
    if _run("buildah", "images", "--quiet", name, check=False):
        return
    archive = (
        install_once(CACHE / "images" / "base", name, lambda folder: _build_base(folder / "base.tar")) / "base.tar"
    )
    changes = [
        word for change in (f"ENV {_PATH}", "ENV LANG=C.UTF-8", 'CMD ["python3"]') for word in ("--change", change)
    ]
    _run("podman", "import", "--quiet", *changes, str(archive), name)


def _build_base(archive: Path) -> None:
    suite = base_name().rpartition("-")[2]
    say(f"Building a stand-in for {base_name()} from the packages of Debian {suite} (once, a minute or two) ...")
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    packages = "--include=ca-certificates,python3,python3-venv,python3-pip"
    options = [
        "--mode=root",
        "--variant=apt",
        "--quiet",
        packages,
        '--aptopt=APT::Install-Recommends "false"',
        *left_out,
    ]
    _run("mmdebstrap", *options, f"--customize-hook={_LINKS}", suite, str(archive))


def prepare() -> None:
    """Make sure that containers can be built and run here. Raises `NotAvailable`."""
    try:
        make_stand_in()
        container = _run("buildah", "from", "--pull-never", f"localhost/{base_name()}")
        try:
            _run("buildah", "run", "--network", "host", container, "python3", "--version")
        finally:
            _run("buildah", "rm", container)
    except subprocess.CalledProcessError as problem:
        raise NotAvailable(f"Containers cannot be built and run on this machine: {problem}") from problem


def build(name: str = IMAGE, *, stand_in: bool = True) -> str:
    """Build the image and return its name. Raises `CalledProcessError`."""
    words = ["build", "--format", "docker", "--tag", name, *_build_arguments()]
    if stand_in:
        make_stand_in()
        mounted = [file for file in _FILES_OF_THE_MACHINE if Path(file).exists()]
        volumes = [word for file in mounted for word in ("--volume", f"{file}:{file}:ro")]
        words += ["--layers", "--pull-never", "--network", "host", *volumes]
    tool = "buildah" if stand_in else next(filter(shutil.which, ("podman", "buildah", "docker")), None)
    if tool is None:
        raise NotAvailable("podman, buildah or docker is needed to build the image.")
    if tool == "docker":
        words = [word for word in words if word not in {"--format", "docker"}]
    subprocess.run([tool, *words, str(ROOT)], env=environment(), check=True, stdout=subprocess.DEVNULL)
    return name


def save(name: str, archive: Path) -> None:
    """Write an image to a file, as containerd imports it."""
    archive.unlink(missing_ok=True)
    _run("buildah", "push", "--quiet", name, f"oci-archive:{archive}:{name}")


def _build_arguments() -> list[str]:
    revision = _git("rev-parse", "HEAD") or "unknown"
    # The time of the commit, so that one commit has one image.
    seconds = int(_git("show", "--no-patch", "--format=%ct", "HEAD") or 0)
    created = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    given = {"VERSION": version("smart-fhir-gateway"), "REVISION": revision, "CREATED": created}
    return [word for key, value in given.items() for word in ("--build-arg", f"{key}={value}")]


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _run(*words: str, check: bool = True) -> str:
    done = subprocess.run(list(words), env=environment(), check=check, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def main() -> None:
    """Build the image."""
    parser = argparse.ArgumentParser(prog="python -m scripts.image", description=main.__doc__)
    parser.add_argument("--tag", default="smart-fhir-gateway:latest", help="its name")
    parser.add_argument("--stand-in", action="store_true", help="without a registry, on a stand-in of the base")
    parser.add_argument("--install-tools", action="store_true", help="install buildah and podman first (root, Debian)")
    parser.add_argument("--prepare", action="store_true", help="only find out whether that can be done here")
    parser.add_argument("--archive", type=Path, help="write it to this file as well, as an OCI archive")
    arguments = parser.parse_args()
    try:
        if arguments.install_tools:
            install_tools()
        if arguments.prepare:
            prepare()
            return
        name = build(arguments.tag, stand_in=arguments.stand_in)
        if arguments.archive is not None:
            save(name, arguments.archive)
    except NotAvailable as problem:
        sys.exit(str(problem))
    except subprocess.CalledProcessError as problem:
        sys.exit(problem.returncode)
    print(name)


if __name__ == "__main__":
    main()
