"""A new process's first call, for `compile_time`: prints its seconds and its result's sum.

``python -m benchmarks.first_call xnp 1000``. The import of the library is not counted, what it
loads for compiling is.
"""

import importlib
import json
import sys
import time
from typing import Any

from .chains import arguments, chain


def main(name: str, count: int) -> None:
    library: Any = importlib.import_module(name)
    x, y = arguments()
    if name == "jax":
        library.config.update("jax_enable_x64", True)
        np, (x, y) = library.numpy, map(library.numpy.asarray, (x, y))
    else:
        np = library
        _ = np.jit  # loaded on first use
    start = time.perf_counter()
    result = library.jit(chain(np, count))(x, y)
    if name == "jax":
        result.block_until_ready()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "result": float(result.sum())}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
