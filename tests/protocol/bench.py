"""Coroutines that run inside the simulation: cocotbext-axi's master and slave, which we
did not write, drive an engine.

`frames.json` says what to send; what came is left in `<test>.json`.  Each test begins with a hard
reset of the engine in whatever state the test before it left.
"""

import json
import random
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

FRAMES = json.loads(Path("frames.json").read_text())
PAYLOAD = ("tdata", "tid", "tuser", "tlast")


class Link:
    """Both ends of the engine's streams after a hard reset."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.source = AxiStreamSource(
            AxiStreamBus.from_prefix(engine, "s_axis"), engine.clk, engine.rst
        )
        self.sink = AxiStreamSink(
            AxiStreamBus.from_prefix(engine, "m_axis"), engine.clk, engine.rst
        )

    async def reset(self) -> None:
        self.engine.rst.value = 1
        await ClockCycles(self.engine.clk, 4)
        self.engine.rst.value = 0
        self.source.clear()
        self.sink.clear()

    def send(self) -> None:
        """Every frame, one packet each: TUSER on the first beat of a sequence's first frame."""
        for frame in FRAMES["frames"]:
            data, lanes = bytes.fromhex(frame["data"]), self.source.byte_lanes
            user = [int(frame["first"] and place < lanes) for place in range(len(data))]
            self.source.send_nowait(AxiStreamFrame(data, tid=frame["stream"], tuser=user))

    async def receive(self, name: str) -> None:
        """As many packets as were sent, into `<name>.json`; then nothing more may come."""
        came = [await self.sink.recv(compact=False) for _ in FRAMES["frames"]]
        await ClockCycles(self.engine.clk, 200)
        assert self.sink.empty(), "a packet too many"
        assert not self.engine.error.value, "the error port is high"
        Path(f"{name}.json").write_text(json.dumps([_packet(frame) for frame in came]))


def _packet(frame: AxiStreamFrame) -> dict[str, Any]:
    return {"data": bytes(frame.tdata).hex(), "streams": frame.tid, "first": frame.tuser}


async def _payload_holds(engine: Any) -> None:
    """AXI4-Stream's own rule: once TVALID is high, it and all it offers stay until TREADY."""
    offered = None
    while True:
        await RisingEdge(engine.clk)
        await ReadOnly()
        valid, ready = bool(engine.m_axis_tvalid.value), bool(engine.m_axis_tready.value)
        now = [int(getattr(engine, f"m_axis_{name}").value) for name in PAYLOAD] if valid else None
        if engine.rst.value:
            offered = None
            continue
        assert offered is None or now == offered, f"offered {offered}, not taken, then {now}"
        offered = now if valid and not ready else None


async def _started(engine: Any) -> Link:
    Clock(engine.clk, 10, unit="ns").start()
    link = Link(engine)
    await link.reset()
    cocotb.start_soon(_payload_holds(engine))
    return link


async def _exchange(
    engine: Any, name: str, pauses: tuple[Iterator[bool] | None, Iterator[bool] | None]
) -> None:
    link = await _started(engine)
    for end, pause in zip((link.source, link.sink), pauses, strict=True):
        if pause is not None:
            end.set_pause_generator(pause)
    link.send()
    await with_timeout(link.receive(name), 10, "ms")


def _random(seed: int, probability: float) -> Iterator[bool]:
    generator = random.Random(seed)
    while True:
        yield generator.random() < probability


def _bursts(free: int, paused: int) -> Iterator[bool]:
    return cycle([False] * free + [True] * paused)


@cocotb.test()
async def no_pauses(engine: Any) -> None:
    """Master and slave never wait."""
    await _exchange(engine, "no_pauses", (None, None))


@cocotb.test()
async def random_pauses(engine: Any) -> None:
    """Either side pauses at random, the slave more."""
    await _exchange(engine, "random_pauses", (_random(1, 0.3), _random(2, 0.6)))


@cocotb.test()
async def long_pauses(engine: Any) -> None:
    """The slave sleeps longer than a round takes, then takes single beats."""
    await _exchange(engine, "long_pauses", (_bursts(5, 3), _bursts(1, 300)))


@cocotb.test()
async def reset_in_mid_frame(engine: Any) -> None:
    """Half a packet is in and results are under way when reset comes; then
    everything again from its beginning.
    """
    link = await _started(engine)
    link.send()
    await link.sink.recv()
    while engine.s_axis_tlast.value or not engine.s_axis_tvalid.value:
        await RisingEdge(engine.clk)
    await link.reset()
    link.send()
    await with_timeout(link.receive("reset_in_mid_frame"), 10, "ms")
