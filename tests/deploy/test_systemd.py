"""The unit for systemd: it is valid, confined, and leaves the gateway the time that it needs to end."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.settings.serving.shutdown import Shutdown
from scripts.install_once import ROOT

UNIT = ROOT / "deploy" / "systemd" / "smart-fhir-gateway.service"
_PROGRAM = "/opt/smart-gateway/bin/smart-gateway"
# From 0, which is the best, to 10.
_MAX_EXPOSURE = 1.5


def _systemd_analyze(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed on this machine, so the unit was not checked")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False, timeout=60)


def test_the_unit_is_valid(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(_PROGRAM, sys.executable))
    done = _systemd_analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_is_confined() -> None:
    done = _systemd_analyze("security", "--offline=true", f"--threshold={_MAX_EXPOSURE * 10:.0f}", str(UNIT))
    assert done.returncode == 0, done.stdout[-500:]


def test_the_start_and_a_reload_give_the_service_a_copy_of_its_own(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files to the user of the service")
    source, folder = tmp_path / "etc.yaml", tmp_path / "run" / "smart-gateway"
    folder.mkdir(parents=True)
    os.chown(folder, 12345, 12346)
    lines = UNIT.read_text().splitlines()
    [start] = [line.partition("=+")[2] for line in lines if line.startswith("ExecStartPre=")]
    [reload, hangup] = [line.partition("=")[2] for line in lines if line.startswith("ExecReload=")]
    assert (reload, hangup) == (f"+{start}", "/bin/kill -HUP $MAINPID")
    command = start.replace("%t", str(folder.parent)).replace("/etc/smart-gateway/gateway.yaml", str(source))
    for text in ("first", "second"):
        source.write_text(text)
        source.chmod(0o600)
        subprocess.run(shlex.split(command), check=True)
        [copy] = folder.iterdir()
        status = copy.stat()
        assert (copy.name, copy.read_text()) == ("gateway.yaml", text)
        assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 12346, 0o400)


def test_the_unit_leaves_the_gateway_time_to_end() -> None:
    settings = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    times = Shutdown()
    assert float(settings["TimeoutStopSec"]) > times.drain_seconds + times.finish_seconds
    assert settings["KillMode"] == "mixed"
    # The exit status of a configuration with problems, and of a port in use (docs/operating.md).
    assert settings["RestartPreventExitStatus"] == "1 2"
