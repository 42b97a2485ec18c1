"""Estimated power of a run's engine, from its cells, its clock and how busy it is."""

from ernn.estimate import power
from ernn.estimate.device import Device
from ernn.ir.edges import operand_bits
from ernn.ir.integer_model import IntegerModel
from ernn.report import series
from ernn.report.record import Measurement, RunRecord

TOOL = "ernn.estimate.power: published energies, uncalibrated"


def record_power(record: RunRecord, device: Device, model: IntegerModel) -> None:
    """Estimate power where everything it depends on is in the record; otherwise nothing."""
    engine = _engine(record, model)
    if engine is None:
        return
    watts = power.estimate(device, engine)
    parts = {"total": watts.total, "static": watts.static, "logic": watts.logic}
    parts |= {"multipliers": watts.multipliers, "block_ram": watts.block_ram}
    for name, value in parts.items():
        record.set(f"power.{name}", Measurement(round(value, 4), "W", "estimated", TOOL))
    fps = record.find("fps")
    if fps is not None:
        per_frame = Measurement(
            round(1e6 * watts.total / fps.value, 4),
            "µJ",
            "estimated",
            TOOL,
            note="all streams busy",
        )
        record.set("power.frame", per_frame)
    series.put(
        record, series.Power("estimated", TOOL, device.name, power.assumptions(device, engine))
    )


def _engine(record: RunRecord, model: IntegerModel) -> power.Engine | None:
    find = record.find
    cells = [find(f"area.{name}") for name in ("lut", "ff", "dsp", "block_ram_kbit")]
    clock, busy, toggles = find("clock_mhz"), find("utilisation"), find("activity")
    if clock is None or busy is None or any(cell is None for cell in cells):
        return None
    lut, ff, dsp, block_ram = (int(cell.value) for cell in cells if cell is not None)
    share = busy.value / 100
    return power.Engine(
        lut=lut,
        ff=ff,
        dsp=dsp,
        block_ram_kbit=block_ram,
        product=(operand_bits(model), model.weight_bits),
        clock_mhz=clock.value,
        utilisation=share,
        activity=toggles.value / 100 if toggles else power.assumed_activity(share),
        simulated=toggles is not None,
    )
