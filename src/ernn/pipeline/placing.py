"""Area of a run's engine by Yosys, and its clock by nextpnr."""

from ernn.estimate.device import Device, find_device
from ernn.flow.place import Placement, grade_of
from ernn.flow.place import place as place_and_route
from ernn.flow.synthesise import Area, synthesise
from ernn.pipeline import hardware
from ernn.pipeline.chosen import DESIGN, chosen
from ernn.pipeline.kept import MODEL, model_of
from ernn.pipeline.run import Outcome, Run
from ernn.pipeline.watts import record_power
from ernn.report import series
from ernn.report.record import Measurement, RunRecord

UNPLACED = "after synthesis, before placement"
PROXY = (
    f"{UNPLACED}; Yosys packs neither registers nor additions into DSP48E2: read LUT and FF with "
    "care"
)


def synth(run: Run, others: tuple[str, ...]) -> Outcome:
    """Count the cells of the engine on its device and on the devices named `others`."""
    counted = [chosen(run).device, *(find_device(name) for name in others)]
    devices = list({device.name: device for device in counted}.values())

    def work() -> None:
        verilog = hardware.verilog_of(run)
        areas = [(device, synthesise(verilog, device)) for device in devices]
        for name, value in _counts(areas[0][1]).items():
            run.record.set(
                f"area.{name}",
                Measurement(value, "cells", "estimated", areas[0][1].tool, note=UNPLACED),
            )
        kbit = Measurement(
            areas[0][1].bram_kbit, "kbit", "estimated", areas[0][1].tool, note=UNPLACED
        )
        run.record.set("area.block_ram_kbit", kbit)
        series.put(run.record, series.Areas(tuple(_table(device, area) for device, area in areas)))
        record_power(run.record, counted[0], model_of(run))

    options = {"devices": [device.name for device in devices]}
    return run.perform("synth", options, work, reads=[MODEL, DESIGN])


def counts(run: Run) -> dict[str, dict[str, dict[str, float]]]:
    """What `synth` counted: for each device, for each kind of cell, how many are used and there."""
    found = series.take(run.record, series.Areas)
    return {
        area.device: {
            row.resource: {"used": row.used, "available": row.available} for row in area.rows
        }
        for area in (found.tables if found else ())
    }


def place(run: Run, seeds: tuple[int, ...], grade: int | None, target_mhz: float) -> Outcome:
    """Place and route the engine on its device, once per seed; the median clock counts."""
    device = chosen(run).device
    grade_of(device, grade)  # what cannot be placed is said before the Verilog is made

    def work() -> None:
        verilog = hardware.verilog_of(run)
        placement = place_and_route(
            verilog, device, grade=grade, seeds=seeds, target_mhz=target_mhz
        )
        _record_clock(run.record, placement)
        hardware.record_speed(run.record)
        record_power(run.record, device, model_of(run))

    options = {"seeds": list(seeds), "grade": grade, "target_mhz": target_mhz}
    return run.perform("place", options, work, reads=[MODEL, DESIGN])


def _record_clock(record: RunRecord, placement: Placement) -> None:
    tool = f"{placement.tool}, {placement.device} grade {placement.grade}"
    spread = (min(placement.clock_mhz), max(placement.clock_mhz))
    seeds, note = (
        len(placement.runs),
        "median of the seeds; nextpnr's timing model, no vendor sign-off",
    )
    clock = Measurement(
        placement.median_mhz, "MHz", "placed", tool, seeds=seeds, spread=spread, note=note
    )
    record.set("clock_mhz", clock)
    record.set("clock.best_mhz", Measurement(placement.best_mhz, "MHz", "placed", tool))
    path = placement.runs[0].critical_path
    note = f"from {path.start} to {path.end}"
    record.set(
        "clock.critical_path_ns", Measurement(path.delay_ns, "ns", "placed", tool, note=note)
    )
    record.set(
        "clock.critical_path_routing_ns",
        Measurement(path.routing_ns, "ns", "placed", tool, note=note),
    )
    runs = tuple(series.ClockRun(run.seed, run.clock_mhz) for run in placement.runs)
    series.put(record, series.Clocks("placed", tool, placement.device, runs, placement.target_mhz))


def _counts(area: Area) -> dict[str, int]:
    return {"lut": area.lut, "ff": area.ff, "dsp": area.dsp, "bram_blocks": area.bram_blocks}


def _table(device: Device, area: Area) -> series.Area:
    pairs = (
        ("LUT", area.lut, device.lut.value),
        ("FF", area.ff, device.ff.value),
        ("DSP", area.dsp, device.dsp.value),
        ("block RAM kbit", area.bram_kbit, device.block_ram.value),
        ("UltraRAM kbit", area.uram_kbit, device.ultra_ram.value),
    )
    rows = tuple(
        series.AreaRow(name, used, available) for name, used, available in pairs if available
    )
    note = PROXY if device.is_ultrascale else UNPLACED
    return series.Area("estimated", area.tool, device.name, rows, note)
