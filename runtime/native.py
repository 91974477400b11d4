"""Machine code in this process: LLVM IR is optimised, compiled and linked; objects are loaded.

Every library is compiled to an object first, and the object is linked by a JIT that many share.
So code that was just compiled and code that was kept on disk take the same way, and the symbols
a library refers to are its own: two libraries may give one name to different addresses.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from functools import cache
from itertools import count
from typing import Any, NamedTuple

from ..autodiff.loading import uninterrupted
from ..autodiff.locks import exit_safe_lock

_NO_SYMBOLS: Mapping[str, int] = {}

# LLVM is used by one thread at a time; nobody may fork or exit while another one is inside of it.
_lock = exit_safe_lock()
_library_numbers = count()

free, _malloc = ctypes.CDLL(None).free, ctypes.CDLL(None).malloc
free.argtypes, free.restype = [ctypes.c_void_p], None
_malloc.argtypes, _malloc.restype = [ctypes.c_size_t], ctypes.c_void_p

# glibc hands blocks back to the kernel when they are freed, until the program has freed one of this
# size, the largest that this takes: from then on it keeps 64 MB of freed memory for the next call's
# results. Pages fresh from the kernel cost as much as simple arithmetic on all their numbers.
_KEPT_BLOCK = (1 << 25) - (1 << 13)

_SHARING = 64  # libraries that are linked by one JIT


@uninterrupted
def load_llvmlite() -> Any:
    """The package; ImportError where it is not installed."""
    import llvmlite.binding

    return llvmlite


class Library:
    """Code in memory, as long as this object lives: keep it with the addresses."""

    def __init__(self, object_code: bytes, symbols: Mapping[str, int]) -> None:
        self._object_code = object_code
        self._name = f"xnp.{next(_library_numbers)}"
        self._linker: Any = None
        self._handles: list[Any] = []
        self._blocks: list[Any] = []
        with _lock:
            self._linker = _machine().linker()
            self._handles.append(_link(object_code, symbols, self._linker, self._name))

    def __del__(self, lock: Any = _lock, free: Any = free, ends: Any = sys.is_finalizing) -> None:
        # They are arguments because the interpreter's teardown clears the module before us. Then
        # threads may still run the code, and one that was stopped may hold the lock.
        if ends():
            return
        # Under the lock, so that no other thread forks meanwhile and leaves LLVM's own lock taken.
        with lock:
            for block in self._blocks:
                free(block)
            self._handles.clear()
            self._linker = None

    def own_block(self, name: str) -> None:
        """Has the memory that the global ``name`` points to freed with the code, which must have
        it from malloc or be null.
        """
        self._blocks.append(ctypes.c_void_p.from_address(self.address(name)))

    def address(self, name: str) -> int:
        """The address of the function or global ``name``.

        Raises KeyError where the library does not define it, RuntimeError where a symbol that the
        library needs is neither among its ``symbols`` nor in the process.
        """
        with _lock:
            try:
                handle = self._linker.lookup(self._name, name)
            except RuntimeError as error:
                if f"[ {name} ]" in str(error):
                    raise KeyError(f"no symbol {name!r} in this library") from None
                raise
            self._handles.append(handle)
            return handle[name]

    def object_code(self) -> bytes:
        """The object file, as `load_object` takes it. It fits this CPU only: see `host`."""
        return self._object_code


class CompiledLibrary(Library):
    """A `Library` compiled in this process; it can show what it was made from."""

    def __init__(
        self, object_code: bytes, symbols: Mapping[str, int], source: str, optimize: int
    ) -> None:
        super().__init__(object_code, symbols)
        self._source = source
        self._optimize = optimize

    def llvm_ir(self) -> str:
        """The optimised LLVM IR; made again when asked for."""
        with _lock:
            module, context, _ = _optimized(self._source, self._optimize)
            text = str(module)
            del module, context
            return text

    def assembly(self) -> str:
        """The machine code, as the assembler's text; made again when asked for."""
        with _lock:
            module, context, target = _optimized(self._source, self._optimize)
            text = target.emit_assembly(module)
            del module, context
            return text


def load(
    llvm_ir: str, symbols: Mapping[str, int] = _NO_SYMBOLS, optimize: int = 1
) -> CompiledLibrary:
    """Compile LLVM IR for this machine's CPU and link it into the process.

    Args:
        llvm_ir: a module's text. Its triple and data layout are set here.
        symbols: addresses of the external names it refers to; what is not there is looked up in
            the process (memcpy, libm). `Library.address` tells where a name is found nowhere.
        optimize: 0 compiles fast, by LLVM's simplest instruction selection. 1 is for loops that
            are vectors already: short ones are unrolled; the rest that LLVM can do to them takes
            as long again and gains a few percent (measured). 2 is all of it, for what is written
            less carefully, 3 with LLVM's vectorisers.

    Raises:
        RuntimeError: the text is no valid module.

    >>> import ctypes
    >>> library = load("define i64 @twice(i64 %x) { %y = add i64 %x, %x ret i64 %y }")
    >>> ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(library.address("twice"))(21)
    42
    """
    with _lock:
        module, context, target = _optimized(llvm_ir, optimize)
        object_code = target.emit_object(module)
        del module, context  # in this order: the module lies in the context
        return CompiledLibrary(object_code, symbols, llvm_ir, optimize)


def load_object(object_code: bytes, symbols: Mapping[str, int] = _NO_SYMBOLS) -> Library:
    """Link code that `Library.object_code` gave, in this or an earlier process on the same `host`.

    Raises RuntimeError where it is no object file.
    """
    return Library(object_code, symbols)


class Host(NamedTuple):
    """What compiled code depends on; part of the key of whatever is kept on disk."""

    triple: str
    cpu: str
    features: str
    compiler: str


@cache
def host() -> Host:
    """This machine, as the compiler sees it."""
    llvmlite = load_llvmlite()
    llvm = llvmlite.binding
    version = ".".join(map(str, llvm.llvm_version_info))
    with _lock:
        return Host(
            llvm.get_process_triple(),
            llvm.get_host_cpu_name(),
            llvm.get_host_cpu_features().flatten(),
            f"LLVM {version}, llvmlite {llvmlite.__version__}",
        )


class _Machine:
    """What links libraries, and the target machines that emit code for it."""

    def __init__(self) -> None:
        llvm = load_llvmlite().binding
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self._target = llvm.Target.from_triple(host().triple)
        self._target_machines: dict[int, Any] = {}
        self._linker: Any = None
        self._linked = 0
        self.layout = str(self.target_machine(2).target_data)

    def linker(self) -> Any:
        """The JIT for one more library, which has to keep it.

        It takes 1 ms to make, so many libraries share one. It keeps 9 KB of each that is dropped,
        so it is dropped with the last of them.
        """
        if self._linked % _SHARING == 0:
            # It takes ownership of the target machine it is given.
            target = self._new_target_machine(2)
            self._linker = load_llvmlite().binding.create_lljit_compiler(target, use_jit_link=True)
        self._linked += 1
        return self._linker

    def target_machine(self, level: int) -> Any:
        if level not in self._target_machines:
            self._target_machines[level] = self._new_target_machine(level)
        return self._target_machines[level]

    def _new_target_machine(self, level: int) -> Any:
        # Position-independent and small: calls to far symbols go through stubs the linker makes.
        return self._target.create_target_machine(
            cpu=host().cpu, features=host().features, opt=level,
            reloc="pic", codemodel="small", jit=True,
        )  # fmt: skip


@cache
def _machine() -> _Machine:
    free(_malloc(_KEPT_BLOCK))  # never touched: it takes no memory
    return _Machine()


def _parse(llvm_ir: str) -> tuple[Any, Any]:
    """The module and its context, which must live as long: types and constants die with it."""
    llvm = load_llvmlite().binding
    context = llvm.create_context()
    module = llvm.parse_assembly(llvm_ir, context)
    module.triple = host().triple
    module.data_layout = _machine().layout
    return module, context


def _optimized(llvm_ir: str, level: int) -> tuple[Any, Any, Any]:
    """Module, context and the target machine that is to emit it."""
    llvm = load_llvmlite().binding
    module, context = _parse(llvm_ir)
    target = _machine().target_machine(min(level, 1))
    tuning = llvm.create_pipeline_tuning_options(max(level, 2))
    tuning.loop_vectorization = tuning.slp_vectorization = level >= 3
    builder = llvm.create_pass_builder(target, tuning)
    passes = builder.getModulePassManager() if level >= 2 else _few_passes(level)
    passes.run(module, builder)
    return module, context, target


def _few_passes(level: int) -> Any:
    llvm = load_llvmlite().binding
    passes = llvm.create_new_module_pass_manager()
    passes.add_always_inliner_pass()
    passes.add_sroa_pass()
    if level >= 1:
        passes.add_loop_unroll_pass()
    return passes


def _link(object_code: bytes, symbols: Mapping[str, int], linker: Any, name: str) -> Any:
    llvm = load_llvmlite().binding
    builder = llvm.JITLibraryBuilder().add_object_img(object_code).add_current_process()
    for symbol, address in symbols.items():
        builder.import_symbol(symbol, address)
    return builder.link(linker, name)
