"""From the text of an LLVM module to machine code that runs here: what the extra ``native`` brings."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import platform
import threading
from dataclasses import dataclass
from typing import Any

EXTRA = "it needs LLVM: pip install 'gdbench[native]'"

VECTOR_LIBRARY = "libmvec.so.1"
"""Where glibc keeps its functions of whole registers, on x86-64."""

LETTERS = {128: "b", 256: "d", 512: "e"}
"""What the names of these functions say of the registers' size."""

_lock = threading.Lock()


@dataclass(frozen=True)
class Target:
    """The machine that code is made for.

    Attributes:
        triple: what LLVM calls it.
        cpu: the processor's name, and ``features`` what it can do.
        bits: size of a vector register.
        contracts: whether a product and a sum are one instruction.
        vectors: whether the C library has functions of whole registers.
    """

    triple: str
    cpu: str
    features: str
    bits: int
    contracts: bool
    vectors: bool

    def vector_function(self, name: str, lanes: int, operands: int) -> str | None:
        """The name of the C library's function of so many numbers at a time, or None."""
        symbol = f"_ZGV{LETTERS[self.bits]}N{lanes}{'v' * operands}_{name}"
        return symbol if self.vectors and _binding().address_of_symbol(symbol) else None


def refusal() -> str | None:
    """Why no code can be made here, or None."""
    try:
        import llvmlite.binding  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        return EXTRA
    if platform.machine() not in ("x86_64", "AMD64"):
        return f"its code was tried on x86-64 alone, not on {platform.machine()}"
    return None


@functools.cache
def _binding() -> Any:
    """LLVM, made ready once."""
    import llvmlite.binding as llvm  # pyright: ignore[reportMissingImports]

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for library in (VECTOR_LIBRARY, ctypes.util.find_library("m")):
        try:
            llvm.load_library_permanently(library)
        except (RuntimeError, TypeError):  # not glibc: number by number
            continue
    return llvm


@functools.cache
def host() -> Target:
    """The machine at hand."""
    llvm = _binding()
    features = llvm.get_host_cpu_features()
    bits = 512 if features.get("avx512f") else 256 if features.get("avx2") else 128
    return Target(
        llvm.get_process_triple(), llvm.get_host_cpu_name(), features.flatten(), bits, bool(features.get("fma")),
        bool(llvm.address_of_symbol(f"_ZGV{LETTERS[bits]}N{bits // 32}v_expf")),
    )  # fmt: skip


def version() -> str:
    """What makes the code."""
    import llvmlite  # pyright: ignore[reportMissingImports]

    return f"{llvmlite.__version__} {host()}"


def object_code(text: str) -> bytes:
    """The machine code of a module.

    Of LLVM's passes only those that tidy up run: what can be done at once is vectors already.
    """
    llvm = _binding()
    here = host()
    # A module of its own context, for cells are compiled in several threads.
    context = llvm.create_context()
    module = llvm.parse_assembly(text, context)
    machine = llvm.Target.from_triple(here.triple).create_target_machine(
        cpu=here.cpu, features=here.features, opt=2, reloc="pic", codemodel="default"
    )
    options = llvm.PipelineTuningOptions(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


class Code:
    """Machine code in memory; ``run`` calls its function, with the interpreter free to go on."""

    def __init__(self, code: bytes) -> None:
        llvm = _binding()
        # By LLVM's newer linker: the older one gives up the process where parts lie farther apart than 2 GiB.
        with _lock:
            self._linker = llvm.create_lljit_compiler(use_jit_link=True)
            builder = llvm.JITLibraryBuilder().add_object_img(code).export_symbol("run").add_current_process()
            self._library = builder.link(self._linker, "descents")
            address = self._library["run"]
        signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
        self._run = signature(address)

    def run(self, given: int, results: int, begun: int, groups: int) -> None:
        """Take groups until all are begun; addresses of two tables of columns and of a counter."""
        self._run(given, results, begun, groups)
