"""vmap's trace: a value that differs between the examples of a batch holds them along axis 0.

The batch axis is always the first. `vmap` moves it there on entry and away on exit, which are
views; in return every batching rule has one case less to think about.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Params, Primitive, Trace, Tracer, Value, layout_of
from .errors import BatchingError, user_line


class BatchTracer(Tracer):
    __slots__ = ("values",)

    def __init__(self, trace: BatchTrace, values: Value) -> None:
        self.trace = trace
        self.values = values

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.values.shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return self.values.ndim - 1

    @property
    def weak(self) -> bool:
        return False

    def layout(self) -> Any:
        layout = layout_of(self.values)
        return layout[0] if layout.shape[0] else np.empty(self.shape, np.int8)

    def concrete(self) -> Value:
        """The one value that all examples agree on; an error where they do not."""
        values = self.values
        while isinstance(values, Tracer):
            values = values.concrete()
        if len(values) and (values == values[:1]).all():
            return values[0]
        raise BatchingError(
            f"the {len(values)} examples of a vmapped batch disagree on a value that Python needs "
            f"as one number, as in `if`, `while`, `int(...)` or `range(...)`{user_line()}. "
            "Write the choice with np.where(condition, a, b), write xnp.array(a)[i] or "
            "xnp.take(a, i) in place of a[i] for a list or ndarray a, or loop over the batch in "
            "Python."
        )


class BatchTrace(Trace):
    name = "vmap"

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = size

    def process(self, primitive: Primitive, args: tuple[Value, ...], params: Params) -> Any:
        if not self.alive:
            self.check_alive()
        values = list(args)
        batched = [False] * len(args)
        for i, a in enumerate(args):
            if type(a) is BatchTracer and a.trace is self:
                values[i] = a.values
                batched[i] = True
        ans, out_batched = primitive.batch(self.size, values, batched, params)
        if not primitive.multiple:
            return BatchTracer(self, ans) if out_batched else ans
        return tuple(
            BatchTracer(self, out) if is_batched else out
            for out, is_batched in zip(ans, out_batched, strict=True)
        )
