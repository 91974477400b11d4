"""The ufunc table: what each NumPy ufunc is on Values."""

from __future__ import annotations

import numpy as np

from ..autodiff import dispatch
from ..autodiff.primitives import elementwise as ew
from ..autodiff.primitives import math

dispatch.UFUNCS.update(
    {
        np.add: ew.add_p,
        np.subtract: ew.subtract_p,
        np.multiply: ew.multiply_p,
        np.divide: ew.divide_p,
        np.negative: ew.negative_p,
        np.positive: ew.positive_p,
        np.absolute: ew.absolute_p,
        np.maximum: ew.maximum_p,
        np.minimum: ew.minimum_p,
        np.equal: ew.equal_p,
        np.not_equal: ew.not_equal_p,
        np.less: ew.less_p,
        np.less_equal: ew.less_equal_p,
        np.greater: ew.greater_p,
        np.greater_equal: ew.greater_equal_p,
        np.sign: ew.sign_p,
        np.conjugate: ew.conjugate_p,
        np.exp: math.exp_p,
        np.exp2: math.exp2_p,
        np.expm1: math.expm1_p,
        np.log: math.log_p,
        np.sin: math.sin_p,
        np.cos: math.cos_p,
        np.tanh: math.tanh_p,
        np.sqrt: math.sqrt_p,
        np.power: math.power_p,
    }
)
