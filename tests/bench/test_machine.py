"""Figures from /proc, the choice of cores, and the message about missing tools."""

from __future__ import annotations

import os

import pytest

from bench import machine


def test_the_command_name_of_a_process_may_hold_spaces_and_brackets() -> None:
    fields = "S 41 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 1000 1 1"
    parent, seconds = machine.parse_stat(f"42 (odd) (name) {fields}")
    assert parent == 41
    assert seconds == pytest.approx(300 / os.sysconf("SC_CLK_TCK"))


def test_work_of_processes_and_stolen_time_count_but_idle_and_interrupts_do_not() -> None:
    text = "cpu  100 20 30 99999 8 7 6 5 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
    assert machine.parse_machine(text) == pytest.approx(155 / os.sysconf("SC_CLK_TCK"))


def test_sizes_are_given_in_bytes() -> None:
    text = "Name:\tpython\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n"
    assert machine.parse_status(text, "VmRSS") == 1024 * 1024
    assert machine.parse_status(text, "VmHWM") == 2048 * 1024
    with pytest.raises(machine.MissingRequirement, match="VmSwap"):
        machine.parse_status(text, "VmSwap")


@pytest.mark.parametrize(("allowed", "apart"), [({0, 1}, True), ({3}, False), ({2, 5, 7}, True)])
def test_the_server_has_a_core_of_its_own_where_there_are_two(allowed: set[int], apart: bool) -> None:
    cores = machine.choose_cores(allowed)
    assert {cores.server, cores.load} <= allowed
    assert cores.are_separate is apart


def test_missing_tools_are_all_named_with_the_way_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        machine.MissingRequirement, match=r"needs nginx, wrk, taskset.*apt-get install nginx wrk util-linux"
    ):
        machine.require_tools()
