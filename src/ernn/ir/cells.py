"""The library of cells, each as its description (`ernn.ir.cell`).

| name | cell | products a frame, of hidden H and input D |
|---|---|---|
| `lstm` | LSTM, with peepholes and projection where asked (Sak et al. 2014) | 4 H (D + H) |
| `gru` | GRU, reset after (torch, cuDNN) or before (E-RNN) the product | 3 H (D + H) |
| `cifg` | LSTM with coupled input and forget gates, f = 1 - i (Greff et al. 2017) | 3 H (D + H) |
| `mgu` | minimal gated unit (Zhou et al. 2016) | 2 H (D + H) |
| `ligru` | light GRU: ReLU, no reset, batch norm folded (Ravanelli et al. 2018) | 2 H (D + H) |
| `sru` | simple recurrent unit, highway by a product (Lei et al. 2018) | 4 H D |
| `qrnn` | quasi-recurrent network, fo-pooling, two frames wide (Bradbury et al. 2017) | 6 H D |
| `indrnn` | independently recurrent: one recurrent weight a unit, ReLU (Li et al. 2018) | H D |
| `rnn` | tanh(W x + U h + b) (Elman 1990); U may be orthogonal | H (D + H) |
| `mingru` | minGRU: gates of the input alone (Feng et al. 2024) | 2 H D |
| `fastgrnn` | FastGRNN: both gates share one product (Kusupati et al. 2018) | H (D + H) |
| `lru` | linear recurrent unit, a complex diagonal (Orvieto et al. 2023) | 2 H D + H (2 H + D) |

Gates are in torch's order: LSTM i, f, g, o; GRU r, z, n.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from ernn.ir.cell import INPUT, Cell, CellProduct, CellStage, CellStep, Read

ResetGate = Literal["after", "before"]
X, H = Read(INPUT), Read("h", 1)
BOTH = (X, H)

LINEAR = Cell(
    "linear", (CellStage((CellProduct("product", 1, (X,)),), (CellStep("h", "product.0"),)),)
)

SUM = Cell("sum", (CellStage((), (CellStep("h", "a + b"),)),), inputs=("a", "b"))

_R, _Z = CellStep("r", "gates.0", "sigmoid"), CellStep("z", "gates.1", "sigmoid")
_MIX = CellStep("h", "n + z*h@1 - z*n", bounded=True)

GRU_AFTER = Cell(
    "GRU, reset after",
    (
        CellStage(
            (
                CellProduct("gates", 2, BOTH),
                CellProduct("candidate_input", 1, (X,)),
                CellProduct("candidate", 1, (H,)),
            ),
            (
                _R,
                _Z,
                CellStep("u", "candidate.0"),
                CellStep("n", "candidate_input.0 + r*u", "tanh"),
                _MIX,
            ),
        ),
    ),
)

GRU_BEFORE = Cell(
    "GRU, reset before",
    (
        CellStage((CellProduct("gates", 2, BOTH),), (_R, _Z, CellStep("s", "r*h@1", bounded=True))),
        CellStage(
            (CellProduct("candidate", 1, (X, Read("s"))),),
            (CellStep("n", "candidate.0", "tanh"), _MIX),
        ),
    ),
)


def gru_cell(reset: ResetGate) -> Cell:
    """A GRU's description."""
    return GRU_AFTER if reset == "after" else GRU_BEFORE


def lstm_cell(peepholes: bool = False, projected: bool = False) -> Cell:
    """An LSTM's description; its vectors are p_i, p_f and p_o where it has peepholes.

    Peepholes look at c of the frame before for i and f, at the new c for o.
    """
    inner = "m" if projected else "h"

    def gate(number: int, peephole: str) -> str:
        return f"gates.{number}" + (f" + {peephole}" if peepholes else "")

    steps = (
        CellStep("i", gate(0, "c@1*p_i"), "sigmoid"),
        CellStep("f", gate(1, "c@1*p_f"), "sigmoid"),
        CellStep("g", "gates.2", "tanh"),
        CellStep("c", "f*c@1 + i*g"),
        CellStep("o", gate(3, "c*p_o"), "sigmoid"),
        CellStep("t", "c", "tanh"),
        CellStep(inner, "o*t", bounded=True),
    )
    stages = [CellStage((CellProduct("gates", 4, BOTH),), steps)]
    if projected:
        product = CellProduct("projection", 1, (Read("m"),), bias=False)
        stages.append(CellStage((product,), (CellStep("h", "projection.0"),)))
    return Cell("LSTM", tuple(stages), ("p_i", "p_f", "p_o") if peepholes else ())


def conv1d_cell(delays: tuple[int, ...]) -> Cell:
    """A causal convolution over time: one product that reads the input `delays` frames ago."""
    product = CellProduct("taps", 1, tuple(Read(INPUT, delay) for delay in delays))
    return Cell("causal convolution", (CellStage((product,), (CellStep("h", "taps.0"),)),))


CIFG = Cell(
    "coupled-gate LSTM",
    (
        CellStage(
            (CellProduct("gates", 3, BOTH),),
            (
                CellStep("i", "gates.0", "sigmoid"),
                CellStep("g", "gates.1", "tanh"),
                CellStep("c", "c@1 - i*c@1 + i*g", bounded=True),
                CellStep("o", "gates.2", "sigmoid"),
                CellStep("t", "c", "tanh"),
                CellStep("h", "o*t", bounded=True),
            ),
        ),
    ),
)

MGU = Cell(
    "minimal gated unit",
    (
        CellStage(
            (CellProduct("gates", 1, BOTH),),
            (CellStep("f", "gates.0", "sigmoid"), CellStep("s", "f*h@1", bounded=True)),
        ),
        CellStage(
            (CellProduct("candidate", 1, (X, Read("s"))),),
            (
                CellStep("n", "candidate.0", "tanh"),
                CellStep("h", "h@1 - f*h@1 + f*n", bounded=True),
            ),
        ),
    ),
)

LIGRU = Cell(
    "light GRU",
    (
        CellStage(
            (CellProduct("gates", 2, BOTH),),
            (
                CellStep("z", "gates.0", "sigmoid"),
                CellStep("n", "gates.1", "relu"),
                CellStep("h", "n + z*h@1 - z*n"),
            ),
        ),
    ),
)

SRU = Cell(
    "simple recurrent unit",
    (
        CellStage(
            (CellProduct("values", 2, (X,), bias=False), CellProduct("gates", 2, (X,))),
            (
                CellStep("u", "values.0"),
                CellStep("s", "values.1"),
                CellStep("f", "gates.0 + c@1*v_f", "sigmoid"),
                CellStep("r", "gates.1 + c@1*v_r", "sigmoid"),
                CellStep("c", "u + f*c@1 - f*u"),
                CellStep("h", "s + r*c - r*s"),
            ),
        ),
    ),
    ("v_f", "v_r"),
)

QRNN = Cell(
    "quasi-recurrent network",
    (
        CellStage(
            (CellProduct("gates", 3, (X, Read(INPUT, 1))),),
            (
                CellStep("z", "gates.0", "tanh"),
                CellStep("f", "gates.1", "sigmoid"),
                CellStep("o", "gates.2", "sigmoid"),
                CellStep("c", "z + f*c@1 - f*z", bounded=True),
                CellStep("h", "o*c", bounded=True),
            ),
        ),
    ),
)

INDRNN = Cell(
    "independently recurrent network",
    (CellStage((CellProduct("gates", 1, (X,)),), (CellStep("h", "gates.0 + h@1*u", "relu"),)),),
    ("u",),
)

RNN = Cell(
    "Elman network",
    (CellStage((CellProduct("gates", 1, BOTH),), (CellStep("h", "gates.0", "tanh"),)),),
)

MINGRU = Cell(
    "minGRU",
    (
        CellStage(
            (CellProduct("gates", 2, (X,)),),
            (
                CellStep("z", "gates.0", "sigmoid"),
                CellStep("n", "gates.1"),
                CellStep("h", "h@1 - z*h@1 + z*n"),
            ),
        ),
    ),
)

FASTGRNN = Cell(
    "FastGRNN",
    (
        CellStage(
            (CellProduct("gates", 1, BOTH, bias=False),),
            (
                CellStep("z", "gates.0 + b_z", "sigmoid"),
                CellStep("n", "gates.0 + b_n", "tanh"),
                CellStep("s", "open + z*less"),  # zeta (1 - z) + nu: open = zeta + nu, less = -zeta
                CellStep("h", "s*n + z*h@1"),
            ),
        ),
    ),
    ("b_z", "b_n", "open", "less"),
)

LRU = Cell(
    "linear recurrent unit",
    (
        CellStage(
            (CellProduct("into", 2, (X,), bias=False),),
            (
                CellStep("a", "into.0 + re@1*l_re"),
                CellStep("re", "a - im@1*l_im"),
                CellStep("b", "into.1 + re@1*l_im"),
                CellStep("im", "b + im@1*l_re"),
            ),
        ),
        CellStage(
            (CellProduct("out", 1, (Read("re"), Read("im"), X), bias=False),),
            (CellStep("h", "out.0"),),
        ),
    ),
    ("l_re", "l_im"),
)

COMPACT: Mapping[str, Cell] = MappingProxyType(
    {
        "cifg": CIFG,
        "mgu": MGU,
        "ligru": LIGRU,
        "sru": SRU,
        "qrnn": QRNN,
        "indrnn": INDRNN,
        "rnn": RNN,
        "mingru": MINGRU,
        "fastgrnn": FASTGRNN,
        "lru": LRU,
    }
)
"""All but LSTM and GRU, by the name that a `ernn.nn.spec.LayerSpec` gives."""
