"""What a recommended network may take: bytes, cycles on a device, or a device."""

from dataclasses import dataclass
from math import inf

from ernn.compress.plan import CompressionPlan
from ernn.errors import UserError
from ernn.estimate.device import Device
from ernn.nn.spec import ModelSpec
from ernn.pipeline.phase1 import predictor
from ernn.quantization.quantize import QuantizeSpec
from ernn.search.candidates import Price, stored_bytes

MEMORY = 0.9
"""Share of a device's memory that weights, constants and states may take."""


@dataclass(frozen=True)
class Budget:
    """Bytes of the weight matrices, cycles a frame, or (neither of them) what fits the device."""

    size: float | None = None
    cycles: float | None = None
    device: Device | None = None

    def __post_init__(self) -> None:
        if self.size is not None and (self.cycles is not None or self.device is not None):
            raise UserError(
                "--budget is of a network in software; give it alone, or --cycles and --device"
            )
        if self.size is None and self.device is None:
            raise UserError(
                "say what the network may take: --budget 40kB, --cycles 800 or --device LFE5U-25F"
            )

    @property
    def unit(self) -> str:
        return "bytes" if self.cycles is None else "cycles a frame"

    @property
    def on_engine(self) -> bool:
        """Whether the engine has to run it: then in blocks, with one number of bits for all."""
        return self.device is not None

    @property
    def limit(self) -> float:
        if self.size is not None:
            return self.size
        if self.cycles is not None:
            return self.cycles
        assert self.device is not None
        return MEMORY * 1024 / 8 * (self.device.block_ram.value + self.device.ultra_ram.value)

    def price(self, engine: QuantizeSpec, streams: int) -> Price:
        """What gives the price of a network in this budget's unit."""
        if self.device is None:
            return stored_bytes
        predict = predictor(self.device, streams, engine)

        def price(model: ModelSpec, plan: CompressionPlan) -> float:
            found = predict(model, plan)
            if found is None:
                return inf
            return found.bits / 8 if self.cycles is None else found.cycles_per_frame

        return price
