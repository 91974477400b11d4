"""numpy.fft: linear maps with crops, pads, scales and half spectra."""

import numpy
from op_row import C, Op, R

import xnp as np

NORMS = ("backward", "ortho", "forward")


def _one_dimensional(name, complex_input, real_input):
    fun = getattr(np.fft, name)
    make = C if complex_input else R
    samples = [(make(n),) for n in (1, 2, 5, 6)] + [(make(3, 4),), (make(0, 3),)]
    if complex_input and real_input:
        samples += [(R(5),), (R(4, dtype=numpy.float32),)]
    if name in ("irfft", "hfft"):
        samples = [s for s in samples if s[0].shape != (1,)]  # needs n=
    single = numpy.complex64 if complex_input else numpy.float32
    samples += [(make(6, dtype=single),)]
    covers = (fun,)
    rows = [Op(name, fun, samples, covers=covers)]
    for norm in NORMS:
        rows.append(
            Op(
                f"{name}_{norm}",
                lambda x, norm=norm: fun(x, norm=norm),
                [(make(5),), (make(2, 6),)],
                covers=covers,
            )
        )
    for n in (1, 2, 4, 7, 8):  # cropped and padded
        rows.append(
            Op(
                f"{name}_n{n}",
                lambda x, n=n: fun(x, n=n, axis=0),
                [(make(4),), (make(5, 2),)],
                covers=covers,
            )
        )
    rows.append(Op(f"{name}_axis", lambda x: fun(x, axis=-2), [(make(3, 4, 2),)], covers=covers))
    return rows


def _n_dimensional(name, complex_input):
    fun, fun2 = getattr(np.fft, name + "n"), getattr(np.fft, name + "2")
    make = C if complex_input else R
    several = [(make(3, 4),), (make(2, 3, 5),)]
    cases = [
        ("", fun, several),
        ("_one_axis", fun, [(make(4),)]),
        ("_axes", lambda x: fun(x, axes=(0, -1)), several),
        ("_s", lambda x: fun(x, s=(5, 3), axes=(0, 1)), several),
        ("_s_whole", lambda x: fun(x, s=(-1, 6), axes=(1, 0)), several),
        ("_repeated", lambda x: fun(x, axes=(1, 0, 1)), several),
        ("_ortho", lambda x: fun(x, norm="ortho"), several),
        ("_forward", lambda x: fun(x, norm="forward"), several),
        ("_two", fun2, several),
        ("_two_s", lambda x: fun2(x, s=(2, 7)), several),
        ("_two_axes", lambda x: fun2(x, axes=(1, 0)), several),
    ]
    if name == "rfft":  # a repeated last axis would be complex by its second turn
        cases[5] = ("_repeated", lambda x: fun(x, axes=(0, 0, 1)), several)
    return [Op(name + "n" + case, f, samples, covers=(fun, fun2)) for case, f, samples in cases]


ROWS: list[Op] = [
    *_one_dimensional("fft", True, True),
    *_one_dimensional("ifft", True, True),
    *_one_dimensional("rfft", False, True),
    *_one_dimensional("irfft", True, True),
    *_one_dimensional("hfft", True, True),
    *_one_dimensional("ihfft", False, True),
    *_n_dimensional("fft", True),
    *_n_dimensional("ifft", True),
    *_n_dimensional("rfft", False),
    *_n_dimensional("irfft", True),
    Op("fftn_no_axes", lambda x: np.fft.fftn(x, axes=()), [(C(3),)], covers=(np.fft.fftn,)),
    Op("fftshift", np.fft.fftshift, [(R(5),), (R(4, 3),), (C(2, 3),)], covers=(np.fft.fftshift,)),
    Op(
        "fftshift_axes",
        lambda x: np.fft.fftshift(x, axes=(0, 2)) + np.fft.fftshift(x, axes=1),
        [(R(3, 4, 5),)],
        covers=(np.fft.fftshift,),
    ),
    Op("ifftshift", np.fft.ifftshift, [(R(5),), (R(4, 3),)], covers=(np.fft.ifftshift,)),
    Op("ifftshift_axes", lambda x: np.fft.ifftshift(x, axes=-1), [(C(3, 5),)]),
]
