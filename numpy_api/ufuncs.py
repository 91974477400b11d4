"""The ufunc table: what each NumPy ufunc is on Values.

matmul and its relatives are entered where the contractions are.
"""

from __future__ import annotations

import numpy as np

from ..autodiff import dispatch
from ..autodiff.primitives import elementwise as ew
from ..autodiff.primitives import math, rounding

dispatch.UFUNCS.update(
    {
        # arithmetic
        np.add: ew.add_p,
        np.subtract: ew.subtract_p,
        np.multiply: ew.multiply_p,
        np.divide: ew.divide_p,
        np.negative: ew.negative_p,
        np.positive: ew.positive_p,
        np.absolute: ew.absolute_p,
        np.fabs: math.fabs_p,
        np.conjugate: ew.conjugate_p,
        np.reciprocal: math.reciprocal_p,
        np.square: math.square_p,
        np.sqrt: math.sqrt_p,
        np.cbrt: math.cbrt_p,
        np.power: math.power,
        np.float_power: math.float_power,
        np.hypot: math.hypot_p,
        np.maximum: ew.maximum_p,
        np.minimum: ew.minimum_p,
        np.fmax: rounding.fmax_p,
        np.fmin: rounding.fmin_p,
        # exponentials and logarithms
        np.exp: math.exp_p,
        np.exp2: math.exp2_p,
        np.expm1: math.expm1_p,
        np.log: math.log_p,
        np.log2: math.log2_p,
        np.log10: math.log10_p,
        np.log1p: math.log1p_p,
        np.logaddexp: math.logaddexp_p,
        np.logaddexp2: math.logaddexp2_p,
        # angles
        np.sin: math.sin_p,
        np.cos: math.cos_p,
        np.tan: math.tan_p,
        np.arcsin: math.arcsin_p,
        np.arccos: math.arccos_p,
        np.arctan: math.arctan_p,
        np.arctan2: math.arctan2_p,
        np.deg2rad: math.deg2rad_p,
        np.radians: math.radians_p,
        np.rad2deg: math.rad2deg_p,
        np.degrees: math.degrees_p,
        # hyperbolic functions
        np.sinh: math.sinh_p,
        np.cosh: math.cosh_p,
        np.tanh: math.tanh_p,
        np.arcsinh: math.arcsinh_p,
        np.arccosh: math.arccosh_p,
        np.arctanh: math.arctanh_p,
        # rounding and remainders
        np.floor: rounding.floor_p,
        np.ceil: rounding.ceil_p,
        np.trunc: rounding.trunc_p,
        np.rint: rounding.rint_p,
        np.floor_divide: rounding.floor_divide_p,
        np.remainder: rounding.remainder_p,
        np.fmod: rounding.fmod_p,
        np.divmod: rounding.divmod_values,
        np.modf: rounding.modf,
        np.frexp: rounding.frexp,
        np.ldexp: rounding.ldexp_p,
        np.nextafter: rounding.nextafter_p,
        np.spacing: rounding.spacing_p,
        # signs
        np.sign: math.sign,
        np.copysign: math.copysign_p,
        np.heaviside: rounding.heaviside_p,
        np.signbit: rounding.signbit_p,
        # comparisons and tests
        np.equal: ew.equal_p,
        np.not_equal: ew.not_equal_p,
        np.less: ew.less_p,
        np.less_equal: ew.less_equal_p,
        np.greater: ew.greater_p,
        np.greater_equal: ew.greater_equal_p,
        np.isfinite: rounding.isfinite_p,
        np.isinf: math.isinf_p,
        np.isnan: rounding.isnan_p,
        np.logical_and: ew.logical_and_p,
        np.logical_or: ew.logical_or_p,
        np.logical_xor: rounding.logical_xor_p,
        np.logical_not: ew.logical_not_p,
        # whole numbers
        np.bitwise_and: rounding.bitwise_and_p,
        np.bitwise_or: rounding.bitwise_or_p,
        np.bitwise_xor: rounding.bitwise_xor_p,
        np.bitwise_count: rounding.bitwise_count_p,
        np.invert: rounding.invert_p,
        np.left_shift: rounding.left_shift_p,
        np.right_shift: rounding.right_shift_p,
        np.gcd: rounding.gcd_p,
        np.lcm: rounding.lcm_p,
    }
)

_NO_STRINGS = ("traced arrays hold numbers, never strings", "call it on an array of strings")
for _name, _function in vars(np.strings).items():
    if isinstance(_function, np.ufunc) and getattr(np, _name, None) is not _function:
        dispatch.UNSUPPORTED[_function] = _NO_STRINGS
