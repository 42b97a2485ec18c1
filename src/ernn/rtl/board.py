"""What an ECP5 board needs around a serial engine: a PLL, and reset until it has locked."""

from dataclasses import dataclass
from itertools import product

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ernn.errors import UserError
from ernn.rtl.serial import SerialEngine

_RESET_CYCLES = 15


@dataclass(frozen=True)
class Pll:
    """Dividers of an EHXPLLL with feedback from its own output: output = input / `input_div` *
    `feedback_div`.
    """

    input_mhz: float
    input_div: int
    feedback_div: int
    output_div: int

    @property
    def output_mhz(self) -> float:
        """The clock it makes."""
        return self.input_mhz / self.input_div * self.feedback_div

    @property
    def vco_mhz(self) -> float:
        """Its oscillator, which must run at 400 to 800 MHz."""
        return self.output_mhz * self.output_div


# Limits as in prjtrellis' ecppll: oscillator, phase detector, MHz; dividers up to 128.
_VCO, _DETECTOR, _DIVIDERS = (400.0, 800.0), (3.125, 400.0), range(1, 129)


def pll_for(input_mhz: float, output_mhz: float) -> Pll:
    """The PLL that makes exactly `output_mhz`, its oscillator nearest to 600 MHz; UserError where
    there is none.
    """
    found = [
        Pll(input_mhz, down, up, out)
        for down, up in product(range(1, 9), _DIVIDERS)
        if abs(input_mhz / down * up - output_mhz) < 1e-9
        and _DETECTOR[0] <= input_mhz / down <= _DETECTOR[1]
        for out in _DIVIDERS
        if _VCO[0] <= output_mhz * out <= _VCO[1]
    ]
    if not found:
        raise UserError(
            f"no PLL makes {output_mhz:g} MHz of {input_mhz:g}: "
            f"it must be 10 to 400 MHz and a multiple of {input_mhz:g}/n, n up to 8"
        )
    return min(found, key=lambda pll: (pll.input_div, abs(pll.vco_mhz - 600), pll.output_div))


class BoardTop(wiring.Component):
    """Pins, PLL, reset until the PLL has locked and while the button is pressed, and the serial
    engine.
    """

    def __init__(self, engine: SerialEngine, pll: Pll) -> None:
        self.engine, self.pll = engine, pll
        ports = {
            "clk": In(1),
            "reset": In(1),
            "received": In(1),
            "sent": Out(1),
            "lost": Out(1),
            "locked": Out(1),
        }
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fast, wait = Signal(), Signal(range(_RESET_CYCLES + 1))
        m.domains.start = ClockDomain(reset_less=True)
        m.domains.sync = ClockDomain()
        m.submodules.pll = self._pll(fast)
        pressed = Signal(2)
        ready = self.locked & ~pressed[1]
        m.d.comb += [ClockSignal("start").eq(fast), ClockSignal("sync").eq(fast)]
        m.d.comb += ResetSignal("sync").eq(wait != _RESET_CYCLES)
        m.d.start += pressed.eq(pressed << 1 | self.reset)
        with m.If(~ready):
            m.d.start += wait.eq(0)
        with m.Elif(wait != _RESET_CYCLES):
            m.d.start += wait.eq(wait + 1)
        m.submodules.serial = serial = self.engine
        m.d.comb += [
            serial.received.eq(self.received),
            self.sent.eq(serial.sent),
            self.lost.eq(serial.lost),
        ]
        return m

    def _pll(self, fast: Signal) -> Instance:
        pll = self.pll
        return Instance(
            "EHXPLLL",
            ("a", "FREQUENCY_PIN_CLKI", f"{pll.input_mhz:g}"),
            ("a", "FREQUENCY_PIN_CLKOP", f"{pll.output_mhz:g}"),
            ("a", "ICP_CURRENT", "12"),
            ("a", "LPF_RESISTOR", "8"),
            ("a", "MFG_ENABLE_FILTEROPAMP", "1"),
            ("a", "MFG_GMCREF_SEL", "2"),
            p_CLKI_DIV=pll.input_div,
            p_CLKFB_DIV=pll.feedback_div,
            p_CLKOP_DIV=pll.output_div,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=pll.output_div // 2,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            p_OUTDIVIDER_MUXA="DIVA",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            i_CLKI=self.clk,
            i_CLKFB=fast,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=fast,
            o_LOCK=self.locked,
        )
