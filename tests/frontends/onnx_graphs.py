"""Small ONNX graphs, one for each form that a network is written in, and what becomes of each.

`body` is ONNX's own text; names in capitals are weights, drawn at random, by their shapes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import numpy_helper, parser

T, F, H = "T", 4, 3
INPUT = f"float[1,T,{F}] x"
LSTM_SHAPES = {"W": (1, 4 * H, F), "R": (1, 4 * H, H), "B": (1, 8 * H)}
GRU_SHAPES = {"W": (1, 3 * H, F), "R": (1, 3 * H, H), "B": (1, 6 * H)}
FORWARD = "xt = Transpose<perm=[1,0,2]>(x)  Y, h, c = LSTM<hidden_size=3>(xt, W, R, B)  "
LSTM = FORWARD + "z = Squeeze(Y, ONE)  l = Transpose<perm=[1,0,2]>(z)  "


@dataclass(frozen=True)
class Form:
    """A graph, and the operators that stay on the host."""

    body: str
    weights: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    inputs: str = INPUT
    outputs: str = "float[] y"
    opset: int = 20
    plain: bool = True
    frames: tuple[int, ...] = (12, F)

    def model(self, seed: int = 0) -> onnx.ModelProto:
        rng = np.random.default_rng(seed)
        text = (
            f'<ir_version: 9, opset_import: ["" : {self.opset}]> g ({self.inputs}) => '
            f"({self.outputs}) {{ {self.body} }}"
        )
        model = parser.parse_model(text)
        arrays = {name: rng.normal(size=shape) for name, shape in self.weights.items()}
        found = {
            name: (abs(value) if name == "VARIANCE" else value).astype(np.float32)
            for name, value in arrays.items()
        }
        found |= {name: np.array(value) for name, value in NUMBERS.items() if name in self.body}
        for name, value in found.items():
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        return model


NUMBERS = {
    "ONE": [1], "ZERO": [0], "TWO": [2], "LAST": [-1], "SIXTEEN": [16], "END": [2**62],
    "HALVES": [2, 1], "FRONT": [0, 2, 0, 0, 0, 0], "NO_BATCH": [-1, 3], "BATCH": [1, -1, 3],
    "MINUS_ONE": -1, "EVERY": [2], "HEADS": [1, -1, 2, 2],
}  # fmt: skip


def _conv(attributes: str = "", before: tuple[str, ...] = (), **weights: tuple[int, ...]) -> Form:
    body = f"t = Transpose<perm=[0,2,1]>(x)  v = Conv<{attributes}>(t, K, B)  "
    body += "s = Transpose<perm=[2,0,1]>(v)  y, h = GRU<hidden_size=3>(s, W, R)"
    shapes = {"K": (5, F, 3), "B": (5,), "W": (1, 9, 5), "R": (1, 9, 3)} | weights
    return Form(body, shapes, before)


def _after(call: str, after: tuple[str, ...] = (), **weights: tuple[int, ...]) -> Form:
    return Form(LSTM + call, LSTM_SHAPES | weights, after=after, plain=not after)


FORMS = {
    "LSTM": Form(FORWARD + "y = Identity(Y)", LSTM_SHAPES),
    "LSTM, both ways": Form(
        "xt = Transpose<perm=[1,0,2]>(x)"
        "y = LSTM<hidden_size=3, direction=\"bidirectional\">(xt, W, R, B)",
        {"W": (2, 12, F), "R": (2, 12, H), "B": (2, 24)},
    ),
    "LSTM, peepholes": Form(
        FORWARD.replace("B)", "B, , , , P)") + "y = Identity(Y)", LSTM_SHAPES | {"P": (1, 3 * H)}
    ),
    "LSTM, batch first by layout": Form(
        "y = LSTM<hidden_size=3, layout=1>(x, W, R, B)", LSTM_SHAPES
    ),
    "LSTM, constant states": Form(
        FORWARD.replace("B)", "B, , S, C)") + "y = Identity(Y)",
        LSTM_SHAPES | {"S": (1, 1, H), "C": (1, 1, H)},
    ),
    "LSTM, states in and out": Form(
        FORWARD.replace("B)", "B, , s, c0)")
        + "y = Identity(Y)  hn = Identity(h)  cn = Identity(c)",
        LSTM_SHAPES,
        inputs=f"{INPUT}, float[1,1,3] s, float[1,1,3] c0",
        outputs="float[] y, float[] hn, float[] cn",
        plain=False,
    ),
    "GRU, reset before": Form(
        "xt = Transpose<perm=[1,0,2]>(x)  y = GRU<hidden_size=3>(xt, W, R, B)", GRU_SHAPES
    ),
    "GRU, reset after": Form(
        "xt = Transpose<perm=[1,0,2]>(x)"
        "y = GRU<hidden_size=3, linear_before_reset=1>(xt, W, R, B)",
        GRU_SHAPES,
    ),
    "GRU, other functions": Form(
        "xt = Transpose<perm=[1,0,2]>(x)"
        'y = GRU<hidden_size=3, activations=["Sigmoid","Relu"]>(xt, W, R, B)',
        GRU_SHAPES,
    ),
    "RNN": Form(
        "xt = Transpose<perm=[1,0,2]>(x)  y = RNN<hidden_size=3>(xt, W, R, B)",
        {"W": (1, H, F), "R": (1, H, H), "B": (1, 2 * H)},
    ),
    "last step by Gather": _after("y = Gather<axis=1>(l, MINUS_ONE)"),
    "last step by Slice": _after("s = Slice(l, LAST, END, ONE)  y = Squeeze(s, ONE)"),
    "last step by Y_h": _after(
        "s = Squeeze(h, ZERO)  y = Gemm<transB=1>(s, A, C)", A=(2, 3), C=(2,)
    ),
    "MatMul and Add": _after("m = MatMul(l, A)  y = Add(m, C)", A=(3, 2), C=(2,)),
    "Gemm around views": _after(
        "v = Reshape(l, NO_BATCH)  m = Gemm<alpha=0.5>(v, A, C)  y = Reshape(m, BATCH)",
        A=(3, 3),
        C=(3,),
    ),
    "batch norm": Form(
        "t = Transpose<perm=[0,2,1]>(x)  n = BatchNormalization(t, S, B0, M, VARIANCE)"
        "v = Mul(n, TWO_F)  u = Transpose<perm=[2,0,1]>(v)  y = GRU<hidden_size=3>(u, W, R, B)",
        GRU_SHAPES | {"S": (F,), "B0": (F,), "M": (F,), "VARIANCE": (F,), "TWO_F": ()},
    ),
    "normalised input": Form(
        "a = Sub(x, M)  d = Div(a, S)  xt = Transpose<perm=[1,0,2]>(d)"
        "y = GRU<hidden_size=3>(xt, W, R, B)",
        GRU_SHAPES | {"M": (F,), "S": (F,)},
    ),
    "residual sum": _after("m = MatMul(x, A)  y = Add(m, l)", A=(4, 3)),
    "gate": _after("s = Sigmoid(l)  m = MatMul(x, A)  y = Mul(m, s)", A=(4, 3)),
    "concatenation": _after("m = Concat<axis=-1>(x, l)  y = MatMul(m, A)", A=(7, 2)),
    "halves by Split": _after(
        "m = MatMul(l, A)  a, b = Split<axis=2, num_outputs=2>(m)  s = Sigmoid(b)  y = Mul(a, s)",
        A=(3, 6),
    ),
    "slice of features": _after("a = Slice(l, ZERO, TWO, TWO)  y = MatMul(a, A)", A=(2, 2)),
    "heads": _after(
        "m = MatMul(l, A)  v = Reshape(m, HEADS)  p = MatMul(v, D)  "
        "y = Reshape(p, FLAT)".replace("FLAT", "HEADS"),
        A=(3, 4),
        D=(2, 2),
    ),
    "ReLU": _after("y = Relu(l)"),
    "leaky ReLU": _after("y = LeakyRelu<alpha=0.1>(l)"),
    "hard sigmoid": _after("y = HardSigmoid(l)"),
    "hard swish": _after("y = HardSwish(l)"),
    "softplus": _after("y = Softplus(l)"),
    "GELU": _after("y = Gelu(l)"),
    "GELU written out": _after(
        "d = Div(l, ROOT)  e = Erf(d)  a = Add(e, UNITY)  m = Mul(l, a)  y = Mul(m, HALF)"
    ),
    "SiLU": _after("s = Sigmoid(l)  y = Mul(l, s)"),
    "Mish": _after("y = Mish(l)"),
    "clip": _after("y = Clip(l, LOW, HIGH)", LOW=(), HIGH=()),
    "maximum of two": _after("m = MatMul(x, A)  y = Max(m, l)", A=(4, 3)),
    "mean over features": _after("y = ReduceMean<keepdims=0>(l, TWO)"),
    "softmax": _after("y = Softmax(l)", after=("Softmax",)),
    "layer norm between": Form(
        LSTM + "n = LayerNormalization(l, S, C)  m = MatMul(n, A)  y = Sigmoid(m)",
        LSTM_SHAPES | {"S": (3,), "C": (3,), "A": (3, 2)},
        after=("LayerNormalization", "MatMul", "Sigmoid"),
        plain=False,
    ),
    "L2 norm of the last step": Form(
        LSTM + "s = Gather<axis=1>(l, MINUS_ONE)  n = ReduceL2(s, ONE)  y = Div(s, n)",
        LSTM_SHAPES,
        after=("ReduceL2", "Div"),
        plain=False,
    ),
    "mean over time": _after("y = ReduceMean(l, ONE)", after=("ReduceMean",)),
    "largest over time": _after("y = ReduceMax(l, ONE)", after=("ReduceMax",)),
    "comparison and choice": _after(
        "b = Greater(l, LOW)  y = Where(b, l, LOW)", after=("Greater", "Where"), LOW=()
    ),
    "division, square root": _after(
        "e = Exp(l)  r = Sqrt(e)  y = Div(l, r)", after=("Exp", "Sqrt", "Div")
    ),
    "two outputs": Form(
        LSTM + "y = MatMul(l, A)  o = Relu(l)", LSTM_SHAPES | {"A": (3, 2)},
        outputs="float[] y, float[] o", plain=False,
    ),
    "embedding": Form(
        "e = Gather(E, x)  xt = Transpose<perm=[1,0,2]>(e)  y = GRU<hidden_size=3>(xt, W, R, B)",
        GRU_SHAPES | {"E": (9, F)},
        before=("Gather",),
        inputs="int64[1,T] x",
        plain=False,
        frames=(12,),
    ),
    "convolution, causal": Form(
        "t = Transpose<perm=[0,2,1]>(x)  p = Pad(t, CAUSAL)  v = Conv(p, K, B)"
        "r = Relu(v)  q = Pad(r, CAUSAL)  w = Conv<dilations=[1]>(q, K2)"
        "s = Transpose<perm=[2,0,1]>(w)  y = GRU<hidden_size=3>(s, W, R)",
        {"K": (5, F, 3), "B": (5,), "K2": (4, 5, 3), "W": (1, 9, 4), "R": (1, 9, 3)},
    ),
    "convolution, dilated": Form(
        "t = Transpose<perm=[0,2,1]>(x)  v = Conv<dilations=[2], pads=[4,0]>(t, K, B)"
        "s = Transpose<perm=[2,0,1]>(v)  y = GRU<hidden_size=3>(s, W, R)",
        {"K": (5, F, 3), "B": (5,), "W": (1, 9, 5), "R": (1, 9, 3)},
    ),
    "convolution, centred": Form(**vars(_conv("pads=[1,1]")) | {"plain": False}),
    "convolution, valid": Form(**vars(_conv("strides=[1]")) | {"plain": False}),
    "convolution, grouped": Form(
        **vars(_conv("pads=[2,0], group=2", K=(6, 2, 3), B=(6,), W=(1, 9, 6))),
    ),
    "convolution, depthwise": Form(
        **vars(_conv("pads=[2,0], group=4", K=(4, 1, 3), B=(4,), W=(1, 9, 4))),
    ),
    "convolution, stride in time": Form(
        **vars(_conv("strides=[2], pads=[1,1]", before=("Conv",))) | {"plain": False}
    ),
    "convolution after a layer, centred": Form(
        LSTM + "t = Transpose<perm=[0,2,1]>(l)  y = Conv<pads=[1,1]>(t, K)",
        LSTM_SHAPES | {"K": (2, 3, 3)},
        after=("Conv",),
        plain=False,
    ),
    "two inputs of frames": Form(
        "b = Concat<axis=-1>(x, w)  xt = Transpose<perm=[1,0,2]>(b)"
        "y = GRU<hidden_size=3>(xt, W, R, B)",
        GRU_SHAPES | {"W": (1, 3 * H, F + 2)},
        inputs=f"{INPUT}, float[1,T,2] w",
        plain=False,
    ),
    "opset 11": Form(
        FORWARD + "z = Squeeze<axes=[1]>(Y)  y = Relu(z)", LSTM_SHAPES, opset=11
    ),
}  # fmt: skip
NUMBERS["CAUSAL"] = [0, 0, 2, 0, 0, 0]
NUMBERS |= {one: np.float32(v) for one, v in {"ROOT": 2**0.5, "UNITY": 1, "HALF": 0.5}.items()}
