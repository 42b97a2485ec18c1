"""Signs of columns as steps: of a network whose matrices are signed, what the engine multiplies.

W x = C D x.  D x is a form of x (`ernn.quantization.signal_forms`): of a dense matrix that reads x
as well, the columns are turned beforehand, so that one transform serves both.
"""

import numpy as np

from ernn.ir.network import Array, Matrix, Network, Source
from ernn.ir.structure import Dense, Signed
from ernn.quantization.signal_forms import Form, in_forms, operands, source_of


def without_signs(network: Network) -> Network:
    """The same network, in which no matrix is `Signed`."""
    signs: dict[Source, list[Array]] = {}
    for index, layer in enumerate(network.layers):
        for product, place, matrix in operands(layer):
            if isinstance(matrix.structure, Signed):
                found = signs.setdefault(source_of(network, index, product.reads[place].name), [])
                diagonal = matrix.structure.diagonal(matrix.columns)
                if not any(np.array_equal(diagonal, one) for one in found):
                    found.append(diagonal)
    forms = {
        source: [Form(f"_turned{number or ''}", one) for number, one in enumerate(found)]
        for source, found in signs.items()
    }

    def choice(source: Source, matrix: Matrix) -> Form | None:
        """The first of a signal's forms is for dense matrices, too."""
        if isinstance(matrix.structure, Signed):
            diagonal = matrix.structure.diagonal(matrix.columns)
            pairs = zip(forms[source], signs[source], strict=True)
            return next(form for form, one in pairs if np.array_equal(one, diagonal))
        return forms[source][0] if source in forms and matrix.structure == Dense() else None

    return in_forms(network, forms, choice) if forms else network
