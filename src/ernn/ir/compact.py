"""Compact recurrent cells, each as its description (`ernn.ir.cell`): fewer gates or cheaper
recurrence than an LSTM's.

| name | cell | products a frame, of hidden H and input D |
|---|---|---|
| `cifg` | LSTM with coupled input and forget gates, f = 1 - i (Greff et al. 2017) | 3 H (D + H) |
| `mgu` | minimal gated unit (Zhou et al. 2016) | 2 H (D + H) |
| `ligru` | light GRU: ReLU, no reset (Ravanelli et al. 2018); its batch normalisation folded into W | 2 H (D + H) |
| `sru` | simple recurrent unit, element-wise recurrence, highway by a product (Lei et al. 2018) | 4 H D |
| `qrnn` | quasi-recurrent network, fo-pooling, a filter of two frames (Bradbury et al. 2017) | 6 H D |
| `indrnn` | independently recurrent: one recurrent weight a unit, ReLU (Li et al. 2018) | H D |
| `rnn` | tanh(W x + U h + b) (Elman 1990); U may be orthogonal | H (D + H) |

The convolution of a `qrnn` over x of this frame and the one before is written so that the product
with the latter is taken a frame earlier and kept: the engine then reads the input once.
"""

from collections.abc import Mapping
from types import MappingProxyType

from ernn.ir.cell import Cell, CellProduct, CellStage, CellStep

BOTH = ("x", "h")

CIFG = Cell(
    "coupled-gate LSTM",
    (
        CellStage(
            (CellProduct("gates", 3, BOTH),),
            (
                CellStep("i", "gates.0", "sigmoid"),
                CellStep("g", "gates.1", "tanh"),
                CellStep("c", "c - i*c + i*g", bounded=True),
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
            (CellStep("f", "gates.0", "sigmoid"), CellStep("s", "f*h", bounded=True)),
        ),
        CellStage(
            (CellProduct("candidate", 1, ("x", "s")),),
            (CellStep("n", "candidate.0", "tanh"), CellStep("h", "h - f*h + f*n", bounded=True)),
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
                CellStep("h", "n + z*h - z*n"),
            ),
        ),
    ),
)

SRU = Cell(
    "simple recurrent unit",
    (
        CellStage(
            (CellProduct("values", 2, ("x",), bias=False), CellProduct("gates", 2, ("x",))),
            (
                CellStep("u", "values.0"),
                CellStep("s", "values.1"),
                CellStep("f", "gates.0 + c*v_f", "sigmoid"),
                CellStep("r", "gates.1 + c*v_r", "sigmoid"),
                CellStep("c", "u + f*c - f*u"),
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
            (CellProduct("now", 3, ("x",)), CellProduct("before", 3, ("x",), bias=False)),
            (
                CellStep("n_z", "now.0"),
                CellStep("n_f", "now.1"),
                CellStep("n_o", "now.2"),
                CellStep("z", "n_z + p_z", "tanh"),
                CellStep("f", "n_f + p_f", "sigmoid"),
                CellStep("o", "n_o + p_o", "sigmoid"),
                CellStep("p_z", "before.0"),
                CellStep("p_f", "before.1"),
                CellStep("p_o", "before.2"),
                CellStep("c", "z + f*c - f*z", bounded=True),
                CellStep("h", "o*c", bounded=True),
            ),
        ),
    ),
)

INDRNN = Cell(
    "independently recurrent network",
    (CellStage((CellProduct("gates", 1, ("x",)),), (CellStep("h", "gates.0 + h*u", "relu"),)),),
    ("u",),
)

RNN = Cell(
    "Elman network",
    (CellStage((CellProduct("gates", 1, BOTH),), (CellStep("h", "gates.0", "tanh"),)),),
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
    }
)
"""By the name that a `ernn.nn.spec.LayerSpec` gives."""
