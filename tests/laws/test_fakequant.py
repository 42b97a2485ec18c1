"""What is trained is what the integers do: fake quantization against `ernn.ir.fixed_point`, tables
against golden.
"""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ernn.golden.elementwise import activate
from ernn.ir.fixed_point import FixedFormat, dequantize, quantize
from ernn.nn.fakequant import fake_quantize, table_results, tabulated
from ernn.quantization.activation_tables import activation_table

FORMATS = st.builds(FixedFormat, st.integers(2, 24), st.integers(-8, 26))
SINGLE, DOUBLE = (
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-1e300, 1e300),
)


@given(arrays(np.float32, 20, elements=SINGLE) | arrays(np.float64, 20, elements=DOUBLE), FORMATS)
@example(
    np.nextafter(np.array([0.5, -0.5, 2.5, 1.5], np.float32), np.float32(-9)), FixedFormat(8, 0)
)
@example(np.array([0.5, -0.5, 1.5, -1.5, 3e38, 0.0, 1e-45], np.float32), FixedFormat(2, 0))
def test_fake_quantization_is_quantize_for_every_number(
    values: np.ndarray, format: FixedFormat
) -> None:
    expected = dequantize(quantize(values, format), format)
    assert np.array_equal(
        fake_quantize(torch.from_numpy(values), format).double().numpy(), expected
    )


@given(FORMATS, st.data(), st.sampled_from([torch.float32, torch.float64]))
def test_every_representable_value_stays(
    format: FixedFormat, data: st.DataObject, kind: torch.dtype
) -> None:
    integer = data.draw(st.integers(format.low, format.high))
    value = torch.tensor([integer * format.step], dtype=kind)
    for random in (False, True):
        assert torch.equal(fake_quantize(value, format, random), value)


@given(arrays(np.float64, 5, elements=st.floats(-9, 9)), st.integers(2, 6))
def test_the_gradient_is_the_identitys_but_where_it_saturates(
    values: np.ndarray, width: int
) -> None:
    format, x = FixedFormat(width, width - 3), torch.tensor(values, requires_grad=True)  # +-4
    fake_quantize(x, format).sum().backward()
    rounded = np.floor(values * 2.0**format.frac + 0.5)
    assert x.grad is not None
    assert np.array_equal(x.grad.numpy(), (format.low <= rounded) & (rounded <= format.high))


def test_random_rounding_takes_a_neighbour_and_is_right_in_the_mean() -> None:
    torch.manual_seed(0)
    values, format = torch.linspace(-0.9, 0.8, 35, dtype=torch.float64), FixedFormat(4, 3)
    draws = fake_quantize(values.expand(4000, -1), format, random=True)
    assert ((draws - values).abs() < format.step).all()
    assert (draws * 8 == (draws * 8).round()).all()
    torch.testing.assert_close(draws.mean(0), values, atol=5 * format.step / 2 / 4000**0.5, rtol=0)


@pytest.mark.parametrize("function", ["sigmoid", "tanh"])
@pytest.mark.parametrize("widths", [(16, 16), (12, 4), (4, 16), (5, 3), (2, 2)])
def test_tables_are_goldens_for_every_input(function, widths: tuple[int, int]) -> None:
    read, gives = FixedFormat(widths[0], widths[0] - 3), FixedFormat(widths[1], widths[1] - 2)
    table = activation_table(function, read, gives)
    integers = np.arange(read.low, read.high + 1)
    expected = dequantize(activate(table, integers), gives)
    results = table_results(table)
    assert np.array_equal(results.numpy(), expected)
    beyond = torch.tensor([-99.0, 99.0]).double()
    assert torch.equal(tabulated(beyond, table, results), results[[0, -1]])
    x = torch.from_numpy(dequantize(integers, read) + 0.49 * read.step).requires_grad_()
    y = tabulated(x, table, results)
    assert np.array_equal(y.detach().numpy(), expected)
    y.sum().backward()
    (slope,) = torch.autograd.grad(getattr(torch, function)(x).sum(), x)
    torch.testing.assert_close(x.grad, slope)
