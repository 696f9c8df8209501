"""The programs that the cluster is made of: those of the cache outside of the clone, and Debian's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from scripts.image import CACHE
from scripts.install_once import NotAvailable

_BUILT = ("helm", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
          "coredns", "kube-router")  # fmt: skip
_DEBIAN = ("etcd", "containerd", "ctr", "runc", "iptables", "conntrack", "ipset", "nsenter", "ip", "openssl")
CNI_PLUGINS = Path("/usr/lib/cni")


def built(program: str) -> str:
    """The path of a program that `scripts/build_kubernetes` has built into the cache. Raises `NotAvailable`."""
    path = CACHE / "bin" / program
    if not path.exists():
        raise NotAvailable(f"`{program}` is not built; `make test-kubernetes` builds it, once.")
    return str(path)


def require_cluster() -> None:
    """Raise `NotAvailable` unless a cluster can be started here, with what is missing."""
    if os.geteuid() != 0:
        raise NotAvailable("Only root can start a cluster.")
    for program in _BUILT:
        built(program)
    missing = [program for program in _DEBIAN if shutil.which(program) is None]
    if missing or not CNI_PLUGINS.is_dir():
        raise NotAvailable(f"{', '.join(missing) or 'containernetworking-plugins'} are missing on this machine.")
