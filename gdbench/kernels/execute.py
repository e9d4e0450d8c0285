"""Compiled cells: blocks of fixed width, tiles of whole blocks, all local devices.

Every block of a cell runs the same executable, so what a lane returns depends neither on its place nor on the size of
the grid. A dispatch runs ``tile`` blocks on each device, one after the other, without those of padding alone.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import jaxpr_as_fun
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gdbench.errors import SuiteError
from gdbench.kernels import fused, native, saved
from gdbench.kernels import lanes as lanes_engine
from gdbench.kernels.compiler import compiler_options
from gdbench.kernels.descent import Descent, Lane, Shared, divide, join, numerics
from gdbench.kernels.judging import Judge, judge_apart
from gdbench.kernels.layout import Thresholds
from gdbench.kernels.scan import descend, walk

_count_lock = threading.Lock()
_compiles = 0
_judges: dict[Any, concurrent.futures.Future[Any]] = {}

CACHE_BYTES = 512 * 1024
"""What a block's state may take on a CPU, so that it stays in the second-level cache of a core."""

LANE_BYTES = 256
"""What a lane of the engine ``lanes`` emits in a chunk, about: two numbers at each of some 32 steps."""

FIRST_CACHE_BYTES = 32 * 1024
"""The first-level cache of a core: what a chunk emits is read again at once."""

MOST_TILE = 16
"""Most blocks a dispatch on one device."""

LANES_DISPATCHED = 16384
"""Lanes a dispatch of the engine ``lanes`` on one device."""

LEAST_LANES = 64
"""Fewest lanes of a block: whole vectors on every machine."""

LARGE_BLOCK_BYTES = 1 << 28
"""What a block of large lanes takes: of a million parameters 64 lanes would need gigabytes, most of it padding."""

GPU_LANES = 1 << 16
"""Lanes of a block on a GPU: enough to fill it."""


def compile_count() -> int:
    """Programs compiled for cells by this process so far."""
    return _compiles


ENGINES = ("auto", "scan", "lanes", "fused", "native")


def engine_refusal(descent: Descent, platform: str, engine: str = "lanes") -> str | None:
    """Why the engine ``lanes``, ``fused`` or ``native`` does not serve a descent, or None.

    On a CPU ``fused`` is interpreted: slow, but all of it is there to be tested.
    """
    if engine == "fused":
        served = platform in ("cpu", "gpu", "cuda")
        return fused.refusal(descent) if served else f"it has no kernel for a {platform}"
    if engine == "native":
        return native.refusal(descent) if platform == "cpu" else f"it has no code for a {platform}"
    if platform != "cpu":
        return f"it is slower than scan on a {platform}"
    if descent.optimizer.host is not None:
        return "the method runs on the host"
    # What is judged apart is soon run, and the engine takes half the time to compile.
    return descent.facts.refusal or (None if descent.apart else descent.facts.slow)


def engine_of(descent: Descent, platform: str, wanted: str = "auto") -> str:
    """The engine by the rule, or the one that is asked for.

    Raises:
        SuiteError: for an engine that is asked for where it does not serve.
    """
    if wanted == "scan":
        return wanted
    if wanted == "auto":
        return ruled(descent, platform)[0]
    why = engine_refusal(descent, platform, wanted)
    if why:
        raise SuiteError([f"the engine {wanted!r} does not serve {descent.optimizer.name} here: {why}"])
    return wanted


def ruled(descent: Descent, platform: str) -> tuple[str, str | None]:
    """The engine by the rule, and for ``scan`` why it is not ``lanes``: ``native`` where it serves and pays, then
    ``lanes``; never ``fused``, which no GPU has run yet.

    A short descent, judged apart, is compiled five times as fast without ``native``. With it a grid of such descents is
    done sooner from about 150,000 of them on, but how many there are must change no row.
    """
    if engine_refusal(descent, platform, "native") is None and native.pays(descent) and not descent.apart:
        return "native", None
    why = engine_refusal(descent, platform)
    return ("scan" if why else "lanes"), why


APART_UP_TO = 400
"""Steps up to which the judge of a descent is compiled apart, once for all cells that differ in nothing it asks for: a
cell then takes a quarter of the time to compile, and its steps hand over what they show through memory.
"""

JUDGED_LANES = 2048, 32768
"""Lanes a device that are judged in one dispatch: of a small grid and of a large one. Two numbers, so that cells with
blocks of one size share their judge whatever their grids.
"""

SMALL_DIM = 64
"""Dimensions up to which the distance to a minimizer costs next to nothing."""

WALK_BYTES = 128 * 1024 * 1024
"""What the walks of a dispatch may take on a device, with the ends of their lanes."""


def judged_apart(descent: Descent, platform: str) -> bool:
    """Whether a descent is judged by a program of its own."""
    return platform == "cpu" and not descent.shape.bare and not descent.problem.stochastic and not descent.counted and (
        descent.shape.steps <= APART_UP_TO
    )  # fmt: skip


def tile_of(descent: Descent, dtype: Any, block: int, lanes: int) -> int:
    """Blocks a dispatch on each device, of so many lanes there: enough to keep it busy, or as many as are judged."""
    if not descent.apart:
        # Blocks of the engine ``lanes`` are small and soon done: a dispatch must outlast what the host does for it.
        most = LANES_DISPATCHED // block if descent.engine in ("lanes", "native") else MOST_TILE
        return max(1, min(most, -(-lanes // block)))
    words, dim = 4 + descent.problem.dim * bool(descent.shape.path_steps), descent.problem.dim
    fitting = WALK_BYTES // ((words * descent.shape.steps + 4 * dim) * np.dtype(dtype).itemsize)
    few, many = JUDGED_LANES
    return max(1, (many if many <= min(lanes, fitting) else min(few, fitting)) // block)


def block_lanes(descent: Descent, dtype: Any, platform: str) -> int:
    """Lanes per block: a power of two, by problem, optimizer, dtype, engine and device kind alone; at least 64, but for
    lanes so large that 64 of them take more than ``LARGE_BLOCK_BYTES``.

    On a CPU as many as fit the cache, at most 1,024: measured fastest for small problems; of the engine ``lanes`` as
    many as emit what stays in the first-level cache, and as XLA does not spread over threads. On a GPU 65,536, of the
    engine ``fused`` 262,144; fewer where a lane is large.
    """
    if descent.optimizer.host is not None or descent.engine == "native":
        return LEAST_LANES
    size, dim = np.dtype(dtype).itemsize, descent.problem.dim
    words = 4 * dim + descent.facts.words + 64
    room, most = (CACHE_BYTES, 1024) if platform == "cpu" else (1 << 30, GPU_LANES)
    if descent.engine == "fused" and platform != "cpu":
        most = fused.BLOCK_LANES
    fitting = min(most, room // (words * size))
    if descent.engine == "lanes":
        emitting = FIRST_CACHE_BYTES // (LANE_BYTES * size // 4)
        fitting = min(fitting, emitting, lanes_engine.most_lanes(descent.facts.operations, dim, size))
    least = min(LEAST_LANES, max(1, LARGE_BLOCK_BYTES // (words * size)))
    return 1 << (max(least, fitting).bit_length() - 1)


def shapes_of(tree: Any) -> tuple[str, list[Any]]:
    """What stands for the structure of a pytree and the shapes of its leaves."""
    return str(jax.tree.structure(tree)), [(a.shape, str(a.dtype)) for a in jax.tree.leaves(tree)]


class Packed(NamedTuple):
    """Arrays of lanes by type, a row for each of their elements: reals [n, lanes], whole numbers [m, lanes].

    A compiled loop over blocks slices every array it is given by itself, so two arrays compile in half the time of
    forty.
    """

    reals: Any
    wholes: Any


def pack(tree: Any) -> tuple[Packed, Any]:
    """The leaves of a pytree, each [lanes, …], and what ``unpack`` needs to put them back."""
    leaves, structure = jax.tree.flatten(tree)
    kinds = [bool(jnp.issubdtype(a.dtype, jnp.floating)) for a in leaves]
    xp = np if all(isinstance(a, np.ndarray) for a in leaves) else jnp

    def rows(real: bool, dtype: Any) -> Any:
        parts = [
            xp.asarray(xp.moveaxis(a, 0, -1).reshape(-1, len(a)), dtype)
            for a, kind in zip(leaves, kinds, strict=True)
            if kind is real
        ]
        return xp.concatenate(parts) if parts else xp.zeros((0, len(leaves[0])), dtype)

    real = leaves[kinds.index(True)].dtype if any(kinds) else np.float32
    shapes = [a.shape[1:] for a in leaves]
    return Packed(rows(True, real), rows(False, np.int32)), (structure, kinds, shapes)


def unpack(packed: Packed, layout: Any) -> Any:
    """The pytree whose leaves were packed; whole numbers come back as int32."""
    structure, kinds, shapes = layout
    at, leaves = {True: 0, False: 0}, []
    for kind, shape in zip(kinds, shapes, strict=True):
        begin, size = at[kind], int(np.prod(shape))
        at[kind] = begin + size
        rows = (packed.reals if kind else packed.wholes)[begin : begin + size]
        xp = np if isinstance(rows, np.ndarray) else jnp
        leaves.append(xp.moveaxis(rows.reshape(*shape, rows.shape[-1]), -1, 0) if shape else rows[0])
    return jax.tree.unflatten(structure, leaves)


class Program:
    """One cell compiled for some devices: arrays of lanes in, arrays of records out."""

    deadline = float("inf")
    """When it must be done, on the clock of ``time.perf_counter``; heeded where a dispatch runs on the host."""

    def __init__(self, descent: Descent, dtype: str, block: int, tile: int, devices: Sequence[Any]) -> None:
        self.descent, self.dtype, self.block, self.tile = descent, np.dtype(dtype), block, tile
        self.mesh = Mesh(np.array(devices), ("devices",))
        self.blocks = tile * len(devices)
        self._compiled: Any = None
        self._judge: Any = None
        self._lane: Any = None
        self._record: Any = None
        self._common: tuple[list[bytes] | None, Any] = None, None

    @property
    def interpreted(self) -> bool:
        """Whether a GPU kernel is interpreted, for there is no GPU."""
        return self.mesh.devices.flat[0].platform == "cpu"

    def _context(self) -> Any:
        return numerics(self.dtype)

    def lanes(self, n: int) -> Lane:
        """The shapes of n lanes' arguments."""
        problem, scalar = self.descent.problem, jax.ShapeDtypeStruct((n,), self.dtype)
        index = jax.ShapeDtypeStruct((n,), np.int32)
        return Lane(
            {k: jax.ShapeDtypeStruct((n, *a.shape), a.dtype) for k, a in self.descent.arguments(self.dtype).items()},
            {name: scalar for name in problem.parameters},
            jax.ShapeDtypeStruct((n, problem.dim), self.dtype), index, index, Thresholds(*[scalar] * 7),
        )  # fmt: skip

    def compile(self, shared: Shared) -> None:
        """Compile ahead of time; shapes come from the cell, values of ``shared`` do not matter."""
        global _compiles
        self.descent.one_piece = self.descent.engine == "lanes"
        try:
            self._compile(shared)
        except jax.errors.JaxRuntimeError:
            # Of what XLA does not compile to one piece (a loop that it spreads over threads) it says so only then.
            if not self.descent.one_piece:
                raise
            self.descent.one_piece = False
            self._compile(shared)
        with _count_lock:
            _compiles += 1

    def _compile(self, shared: Shared) -> None:
        with self._context():
            walked, facts = self._divided(shared)
            own, common = divide(self.lanes(1), self.descent.varying)
            packed, self._lane = _packed_shapes(own, self.block)
            common, shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), common), _shapes(walked)
            key = self._key(packed, common, shapes)
            if self.descent.facts.calls_lapack:
                saved.ready_lapack()
            kept = saved.load(key, list(self.mesh.devices.flat))
            if kept is None:
                hits = saved.hits()
                kept = self._compile_cell(packed, (common, shapes))
                saved.save(key, *kept, hits)
            self._compiled, (out, self._record) = kept
            if self.descent.apart:
                limits = own.thresholds, own.x0
                self._judge, self._record = self._judge_of(out, limits, (common.thresholds, *_shapes(facts)))

    def _divided(self, shared: Shared) -> tuple[Shared, Any]:
        """What the lanes share, and of it what only a judge apart asks for: targets and minimizers.

        The last minimizer is repeated up to a power of two, small ones up to four, so that cells share their judge: the
        nearest stays the first one that is as near.
        """
        if not self.descent.apart:
            return shared, ()
        minimizers = np.asarray(shared.minimizers)
        least = 4 if self.descent.problem.dim <= SMALL_DIM else 1
        more = max(least, 1 << (len(minimizers) - 1).bit_length()) - len(minimizers) if len(minimizers) else 0
        minimizers = np.concatenate([minimizers, np.repeat(minimizers[-1:], more, axis=0)])
        return shared._replace(targets=(), minimizers=()), (shared.targets, minimizers)

    def _where(self) -> list[tuple[int, str, str]]:
        """The devices it is compiled for."""
        return [(device.id, device.platform, device.device_kind) for device in self.mesh.devices.flat]

    def _key(self, *arguments: Any) -> str | None:
        """The name of the saved program."""
        d = self.descent
        if d.identity is None:
            return None
        varying = None if d.varying is None else sorted(d.varying)
        return saved.key_of(
            "cell", d.identity, sorted(d.static.items()), d.shape, d.engine, d.apart, d.one_piece, varying, self.blocks,
            self._where(), shapes_of(arguments), compiler_options(),
        )  # fmt: skip

    def _compile_cell(self, one_block: Packed, common: Any) -> tuple[Any, Any]:
        """The compiled program, and the shapes of what a walk gives, with the layout of its last points, or the layout
        of records.
        """
        descent, layout = self.descent, None

        def run_block(lanes: Packed, common: Lane, shared: Shared) -> Any:
            nonlocal layout
            own = unpack(lanes, self._lane)
            if descent.apart:
                shown = jax.vmap(lambda lane: walk(descent, join(lane, common), shared), out_axes=(-1, -1, 0))(own)
                last, layout = pack(shown[2])
                return *shown[:2], last
            if descent.engine == "fused":
                records = fused.records(descent, own, common, shared, self.interpreted)
            else:
                records = jax.vmap(lambda lane: descend(descent, join(lane, common), shared))(own)
            packed, layout = pack(records)
            return packed

        compiled, out = self._build(run_block, one_block, common, descent.one_piece, quick=descent.apart)
        return compiled, ((out, layout) if descent.apart else None, layout)

    def _judge_of(self, walked: Any, limits: Any, common: Any) -> tuple[Any, Any]:
        """The compiled judge of such walks, and the layout of its records; compiled once for all cells alike."""
        rules, layout, (shown, last_layout) = self.descent.rules, None, walked
        limits, limits_layout = _packed_shapes(limits, self.block)

        def run_block(block: Any, thresholds: Any, targets: Any, minimizers: Any) -> Packed:
            nonlocal layout
            limits, (seen, xs, last) = block

            def one(limits: Any, seen: Any, xs: Any, last: Any) -> dict[str, Any]:
                own, x0 = limits
                return judge_apart(Judge(rules, own or thresholds, x0, targets, minimizers), seen, xs, last)

            given = unpack(limits, limits_layout), seen, xs, unpack(last, last_layout)
            packed, layout = pack(jax.vmap(one, in_axes=(0, -1, -1, 0))(*given))
            return packed

        key = saved.key_of(
            "judge", rules, self.blocks, self._where(), shapes_of((limits, shown, common)), repr(last_layout),
            compiler_options(),
        )  # fmt: skip

        def build() -> tuple[Any, Any]:
            kept = saved.load(key, list(self.mesh.devices.flat))
            if kept is None:
                hits = saved.hits()
                given = run_block, (limits, shown), common
                try:
                    compiled, _ = self._build(*given, piece=True)
                except jax.errors.JaxRuntimeError:  # it is compiled to one piece only if none of its loops is large
                    compiled, _ = self._build(*given)
                kept = compiled, layout
                saved.save(key, *kept, hits)
            return kept

        with _count_lock:
            mine = key not in _judges
            future = _judges.setdefault(key, concurrent.futures.Future())
        if mine:
            try:
                future.set_result(build())
            except BaseException as error:  # whoever waits for it gets it too
                with _count_lock:
                    del _judges[key]
                future.set_exception(error)
        return future.result()

    def _build(
        self, run_block: Any, one_block: Any, common: Any, piece: bool = False, quick: bool = False
    ) -> tuple[Any, Any]:
        """``run_block(lanes, *common)`` over the blocks of a dispatch, compiled, and the shapes of what a block gives.

        Its arguments: how many blocks count on each device, the lanes of all blocks, [blocks, …, lanes], and what the
        blocks have in common. Its results are [blocks, …, lanes] too; blocks that do not count are left out.
        ``piece``: whether it is one piece of code. ``quick``: to compile matters more than to run.
        """
        # Traced outside of shard_map, whose meshes in the types of arrays lineax does not take (its issue 185).
        traced, out = jax.make_jaxpr(run_block, return_shape=True)(one_block, *common)
        run_leaves = jaxpr_as_fun(traced)

        def run_device(counts: Any, lanes: Any, common: Any) -> Any:
            def one(i: Any, results: list[Any]) -> list[Any]:
                part = jax.tree.map(lambda a: lax.dynamic_index_in_dim(a, i, keepdims=False), lanes)
                leaves = run_leaves(*jax.tree.leaves((part, *common)))
                return [
                    lax.dynamic_update_index_in_dim(whole, leaf, i, 0)
                    for whole, leaf in zip(results, leaves, strict=True)
                ]

            def whole(count: Any) -> Any:
                results = [jnp.zeros((self.tile, *a.shape), a.dtype) for a in traced.out_avals]
                return lax.fori_loop(0, count, one, results)

            results = (lanes_engine.one_piece(whole) if piece else whole)(counts[0])
            return jax.tree.unflatten(jax.tree.structure(out), results)

        spec = PartitionSpec("devices")
        mapped = jax.shard_map(
            run_device, mesh=self.mesh, in_specs=(spec, spec, PartitionSpec()), out_specs=spec, check_vma=False
        )
        counts = jax.ShapeDtypeStruct((self.mesh.devices.size,), np.int32)
        lanes = jax.tree.map(lambda a: jax.ShapeDtypeStruct((self.blocks, *a.shape), a.dtype), one_block)
        by_device, everywhere = (NamedSharding(self.mesh, which) for which in (spec, PartitionSpec()))
        jitted = jax.jit(mapped, in_shardings=(by_device, by_device, everywhere), out_shardings=by_device)
        lowered = jitted.lower(counts, lanes, common)
        options = dict(compiler_options())
        if options and quick:
            options["xla_backend_optimization_level"] = 1
        return lowered.compile(compiler_options=options), out

    def place(self, shared: Shared) -> Any:
        """The shared arguments on every device."""
        with self._context():
            return jax.device_put(self._divided(shared), NamedSharding(self.mesh, PartitionSpec()))

    def _place_common(self, common: Lane) -> Lane:
        """What the lanes of a dispatch have in common on every device, mostly that of the dispatch before."""
        known = [leaf.tobytes() for leaf in jax.tree.leaves(common)]
        if known != self._common[0]:
            self._common = known, jax.device_put(common, NamedSharding(self.mesh, PartitionSpec()))
        return self._common[1]

    def start(self, lanes: Lane, shared: Any) -> Any:
        """Dispatch up to ``blocks * block`` lanes; returns at once. Missing lanes repeat the last one."""
        n, full = len(lanes.x0), self.blocks * self.block
        used = -(-n // self.block) - self.tile * np.arange(self.mesh.devices.size)
        counts = np.clip(used, 0, self.tile).astype(np.int32)
        own, common = divide(lanes, self.descent.varying)
        if n < full:
            index = np.minimum(np.arange(full), n - 1)
            own = jax.tree.map(lambda a: a[index], own)
        shared, facts = shared
        with self._context():
            common = self._place_common(jax.tree.map(lambda a: a[0], common))
            out = self._compiled(counts, self._by_block(own), (common, shared))
            if self._judge is not None:
                limits = self._by_block((own.thresholds, own.x0))
                out = self._judge(counts, (limits, out), (common.thresholds, *facts))
            return out, n

    def _by_block(self, lanes: Any) -> Packed:
        """Arrays of lanes, packed: [blocks, n, lanes]."""
        return jax.tree.map(lambda a: a.reshape(len(a), self.blocks, self.block).swapaxes(0, 1), pack(lanes)[0])

    def fetch(self, pending: Any) -> dict[str, np.ndarray]:
        """Wait for a dispatch and bring its records to the host as NumPy arrays [lanes, …]."""
        out, n = pending
        full = self.blocks * self.block
        rows = jax.tree.map(lambda a: a.swapaxes(0, 1).reshape(a.shape[1], full)[:, :n], jax.device_get(out))
        return unpack(rows, self._record)


def _shapes(tree: Any) -> Any:
    """The shapes of the leaves of a pytree."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), tree)


def _packed_shapes(tree: Any, lanes: int) -> tuple[Packed, Any]:
    """Shapes of the arrays of so many lanes into which leaves [1, …] are packed, and what ``unpack`` needs."""
    packed, layout = pack(jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), tree))
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct((len(a), lanes), a.dtype), packed), layout


def local_devices(limit: int | None = None) -> list[Any]:
    """The local devices of the default backend, at most ``limit`` of them."""
    devices = jax.local_devices()
    return devices if limit is None else devices[:limit]


def split_cpu(cores: int) -> bool:
    """Give JAX one virtual CPU device a core unless it was told otherwise; whether it was in time."""
    told = getattr(jax.config, "jax_num_cpu_devices", -1)
    try:
        # Another number first: the one that it has would be taken at any time.
        for count in (told + 1, told if told > 0 else cores):
            jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        # The backend runs already, in a process that is not ours alone: its devices are what there is.
        return False
    return True


def to_dtype(tree: Any, dtype: Any) -> Any:
    """Floating leaves of a pytree in this dtype, as NumPy arrays."""

    def cast(leaf: Any) -> np.ndarray:
        array = np.asarray(leaf)
        with np.errstate(over="ignore"):  # too large for float32 is infinite, and an outcome of its own
            return array.astype(dtype) if np.issubdtype(array.dtype, np.floating) else array

    return jax.tree.map(cast, tree)


__all__ = [
    "Descent", "Lane", "Program", "Shared", "Thresholds", "block_lanes", "compile_count", "jnp", "local_devices",
    "split_cpu", "to_dtype",
]  # fmt: skip
