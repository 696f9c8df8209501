"""The images of the cluster, built without a registry and kept in the cache as archives."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from scripts import image
from scripts.image import CACHE
from scripts.install_once import ROOT, install_once, say
from tests.kubernetes.node_files import PAUSE_IMAGE
from tests.servers import hapi_server
from tests.servers.process import require_tools

SERVERS_IMAGE = "localhost/servers:test"
"""Debian with Java, HAPI, Redis and Prometheus; it also is where another pod tries to reach HAPI from."""

_PACKAGES = "ca-certificates,openjdk-17-jre-headless,redis-server,redis-tools,curl,prometheus,prometheus-alertmanager"
_LEFT_OUT = ("man", "doc", "locale")


def pause_image() -> Path:
    """The archive of the image that holds the network of a pod."""
    require_tools("buildah", "catatonit")
    folder = install_once(CACHE / "images" / "pause", "1", _build_pause)
    return folder / "image.tar"


def _build_pause(folder: Path) -> None:
    program = subprocess.run(["which", "catatonit"], capture_output=True, text=True, check=True).stdout.strip()
    container = _buildah("from", "scratch")
    _buildah("copy", "--quiet", container, program, "/catatonit")
    _buildah("config", "--entrypoint", '["/catatonit", "-P"]', container)
    _archive(container, PAUSE_IMAGE, folder / "image.tar")


def servers_image() -> Path:
    """The archive of the image with HAPI, Redis and Prometheus."""
    require_tools("buildah", "mmdebstrap")
    system, hapi = install_once(CACHE / "images" / "system", _PACKAGES, _build_system), hapi_server.build()
    stamp = hashlib.sha256(f"{_PACKAGES} {(hapi / '.ready').read_text()}".encode()).hexdigest()
    folder = install_once(CACHE / "images" / "servers", stamp, lambda folder: _build_servers(folder, system, hapi))
    return folder / "image.tar"


def _build_system(folder: Path) -> None:
    say("Building an image with Debian's Java, Redis and Prometheus (once, 2 minutes) ...")
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    # Java's package writes there.
    manuals = '--essential-hook=mkdir -p "$1/usr/share/man/man1"'
    without_recommended = '--aptopt=APT::Install-Recommends "false"'
    options = ["--mode=root", "--variant=apt", f"--include={_PACKAGES}", *left_out, without_recommended, manuals]
    subprocess.run(["mmdebstrap", "--quiet", *options, "bookworm", str(folder / "system.tar")], check=True)


def _build_servers(folder: Path, system: Path, hapi: Path) -> None:
    container = _buildah("from", "scratch")
    _buildah("add", "--quiet", container, str(system / "system.tar"), "/")
    for name in ("jars", "classes"):
        _buildah("copy", "--quiet", container, str(hapi / name), f"/opt/hapi/{name}")
    _buildah("config", "--env", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", container)
    _archive(container, SERVERS_IMAGE, folder / "image.tar")


def gateway_image() -> Path:
    """The archive of the gateway's image, built from the Dockerfile on a stand-in of its base."""
    image.require_containers()
    archive = CACHE / "images" / "gateway.tar"
    image.save(image.build(), archive)
    return archive


def _archive(container: str, name: str, file: Path) -> None:
    """Commit the container as an image of this name, write it to the file, and forget both."""
    committed = _buildah("commit", "--quiet", "--rm", container, name)
    _buildah("push", "--quiet", committed, f"oci-archive:{file}:{name}")
    _buildah("rmi", committed)


def _buildah(*words: str) -> str:
    """The output of buildah. It needs no registry and runs nothing."""
    return subprocess.run(["buildah", *words], check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()
