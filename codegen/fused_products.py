"""`matmul_add_p`: a product of matrices, added to an array. Code is generated for it: tiles begin
their sums with what is there, and a sum that a loop carries is added to where it lies.
"""

from __future__ import annotations

import numpy as np

from ..autodiff.core import Aval, Primitive
from ..autodiff.primitives.contraction import matmul_p

matmul_add_p = Primitive(
    "matmul_add",
    lambda a, b, c: np.matmul(a, b) + c,
    shape=lambda a, b, c: Aval(matmul_p.shape(a, b).shape, matmul_p.shape(a, b).dtype),
)
