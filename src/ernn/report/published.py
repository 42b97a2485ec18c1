"""Published figures to stand beside a run's own: docs/reference/published.md names the sources."""

from dataclasses import dataclass

MARKS = {
    "V": "read in the source",
    "V2": "quoted by another paper",
    "M✓": "unverified: recalled, and reproduces a verified figure by arithmetic",
    "M": "unverified: recalled",
}


@dataclass(frozen=True)
class Accelerator:
    """One design as published; cells are text, as some carry a mark of their own; "" where none."""

    design: str
    bits: str
    weights: str
    latency_us: str
    frames_per_second: str
    watts: str
    loss: str
    mark: str


@dataclass(frozen=True)
class ErrorRates:
    """TIMIT phone error rate, %, of one model: dense and per block size."""

    model: str
    dense: str
    block_4: str
    block_8: str
    block_16: str


# Rows of E-RNN, C-LSTM and ESE: 200 MHz, input 153 (padded to 160), 1024 cells or units, projection
# 512 (LSTM).
ACCELERATORS = (
    Accelerator(
        "ESE, XCKU060",
        "12",
        "0.73 M",
        "57.0 theory, 82.7 measured (V)",
        "17,544",
        "41 (V)",
        "0.30",
        "M✓",
    ),
    Accelerator("C-LSTM FFT8, 7V3", "16", "0.41 M", "16.7", "179,687", "22", "0.32", "M✓"),
    Accelerator("C-LSTM FFT16, 7V3", "16", "0.20 M", "9.1", "330,275", "23", "1.23", "M✓"),
    Accelerator("E-RNN LSTM FFT8, XCKU060", "12", "0.41 M", "13.7", "231,514", "", "0.14", "M"),
    Accelerator(
        "E-RNN LSTM FFT16, XCKU060", "12", "0.20 M", "7.4 (V2)", "429,327", "", "0.31", "M"
    ),
    Accelerator("E-RNN LSTM FFT16, 7V3", "12", "0.20 M", "8.3", "382,510", "25", "0.31", "M✓"),
    Accelerator("E-RNN GRU FFT16, 7V3", "12", "0.23 M", "6.5", "464,582", "29 (V2)", "0.33", "M✓"),
    Accelerator("CSB-RNN LSTM, ZCU102", "", "13× pruned", "6.58 (V)", "", "8.9 (V)", "~0.1", "V"),
    Accelerator("Spartus, Zynq-7100, 96 % sparse", "", "4.7 M dense", "~1 (V)", "", "", "", "V"),
    Accelerator(
        "EdgeDRNN, MiniZed, weights in DRAM", "", "5 M", "< 500 (V)", "", "2.42 wall (V)", "", "V"
    ),
)

ERROR_RATES = (
    ErrorRates("LSTM 512", "20.53", "20.57", "21.01", ""),
    ErrorRates("LSTM 1024, peephole, projection 512", "20.01", "20.01", "20.14", "20.32"),
    ErrorRates("GRU 512", "20.51", "20.55", "20.95", ""),
    ErrorRates("GRU 1024", "20.02", "20.03", "20.20 (V2)", "~20.36"),
)
