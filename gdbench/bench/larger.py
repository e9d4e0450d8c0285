"""Problems larger than the Rosenbrock function: BBOB in ten dimensions, a network on noise, a network on digits."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gdbench.bench import peers, product
from gdbench.bench.descents import compared, ratio
from gdbench.bench.sizes import Sizes
from gdbench.bench.timing import Ready, Row, attempt, timed
from gdbench.bench.ways import PLAIN
from gdbench.bench.work import CHECKED, ROUNDING, ROUNDINGS, STEADY, Agreement, agreement, difference
from gdbench.cells import CellRun
from gdbench.face import problem
from gdbench.kernels.descent import unravel_of
from gdbench.lazy import jax, jnp

Say = Callable[[str], None]

ENGINE = "gdbench"
"""gdbench with the engine of its rule."""

ROUNDING_OF = {"float32": ROUNDING, "float64": 1e-13}


def flat_objective(name: str, **settings: Any) -> Callable[[Any], Any]:
    """A problem of the catalogue as a plain function of a vector."""
    f = problem(name, **settings)
    unravel, parameters = unravel_of(f), dict(f.parameters)
    return lambda x: f.objective(unravel(x), f.data, parameters)


def reference(
    objective: Callable[[Any], Any], optimizer: str, steps: int, rates: np.ndarray, points: np.ndarray, rounding: float
) -> tuple[np.ndarray, np.ndarray]:
    """Best values in float64, and which of the lanes are steady: rounding of every iterate leaves them as they are."""
    with jax.enable_x64(True):

        def best(rate: Any, point: Any, size: Any, seed: Any) -> Any:
            def rounded(x: Any, k: Any) -> Any:
                key = jax.random.fold_in(jax.random.key(seed), k)
                return x * (1 + size * jax.random.uniform(key, x.shape, x.dtype, -1.0, 1.0))

            return peers.descent(objective, optimizer, steps, rounded)(rate, point)[1]

        batch = jax.jit(jax.vmap(best, (0, 0, None, None)))
        rates, points = np.asarray(rates, float), np.asarray(points, float)
        exact = np.asarray(batch(rates, points, 0.0, 0))
        rough = [np.asarray(batch(rates, points, rounding, seed)) for seed in range(ROUNDINGS)]
    return exact, np.all([difference(values, exact) <= STEADY for values in rough], axis=0)


def lanes_of(run: CellRun) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Hyperparameters and starts of all rows of a cell, in their order."""
    grid = run.cell.grid
    return grid.coordinates(0, grid.size), run.cell.starts[grid.indices(0, grid.size)["start"]]


def gdbench_ready(run: CellRun) -> Ready:
    """A compiled cell as a way."""
    offset = run.cell.choice.problem.offset

    def best(rows: Any) -> np.ndarray:
        # Next to a minimum that is not 0 the value has lost the digits that the gap still has.
        if run.cell.choice.problem.goal == "minimum":
            return rows.column("gap_best").to_numpy() + run.cell.choice.problem.minimum - offset
        return product.best_of(rows) - offset

    seconds = run.timing.compile_seconds
    lanes = np.arange(run.cell.grid.size)
    return Ready(lambda: product.dispatch(run), best, lanes, seconds, lambda: product.table(run))


def measured(
    group: str, name: str, summary: str, ready: Ready, steps: int, check: Callable[[str, np.ndarray], Agreement],
    patience: float,
) -> Row:  # fmt: skip
    """Time a way, and check what it gives."""
    told = Row(group, name, summary, compile_seconds=ready.compile_seconds, lanes_whole=len(ready.lanes))
    times, out = timed(ready.run, patience=patience)
    told.take(times, len(ready.lanes), steps)
    if ready.table is not None:
        times, out = timed(ready.table, patience=patience)
        told.take_table(times)
    return told.take_agreement(check(name, ready.best(out)))


def checker(
    objective: Callable[[Any], Any], optimizer: str, steps: int, rates: np.ndarray, points: np.ndarray, dtype: str
) -> Callable[[str, np.ndarray], Agreement]:
    """(name, best values of all lanes) -> how they agree with the reference on some of them."""
    some = np.unique(np.linspace(0, len(rates) - 1, min(CHECKED, len(rates))).round().astype(int))
    exact, steady = reference(objective, optimizer, steps, rates[some], points[some], ROUNDING_OF[dtype])
    return lambda name, best: agreement(name, some, np.asarray(best)[some], exact, steady)


def bbob(name: str, sizes: Sizes, say: Say) -> Iterator[Row]:
    """Adam on a function of BBOB in ten dimensions: gdbench against plain jit(vmap(scan))."""
    rates, starts, steps = sizes.bbob
    group = f"{name}, 10-D, adam"
    say(f"{group}, {rates * starts:,} lanes")
    f = flat_objective(name, dim=10)
    run = product.compiled(
        {
            "problems": [{"name": name, "dim": 10}], "steps": steps, "starts": {"kind": "box", "num": starts},
            "optimizers": [{"name": "adam", "learning_rate": {"log": [1e-3, 1e-1], "num": rates}}],
        },
        "auto",
    )  # fmt: skip
    values, points = lanes_of(run)
    rate, points = values["learning_rate"].astype(np.float32), points.astype(np.float32)
    check = checker(f, "adam", steps, rate, points, "float32")
    call, seconds = peers.compiled_batch(peers.descent(f, "adam", steps), rate, points)
    plain = Ready(call, lambda out: np.asarray(out[1]), np.arange(len(rate)), seconds)
    told = f"gdbench, engine {run.cell.info['engine']} by its rule"
    yield from compared([
        measured(group, PLAIN, "plain jit(vmap(scan))", plain, steps, check, sizes.patience),
        measured(group, ENGINE, told, gdbench_ready(run), steps, check, sizes.patience),
    ])  # fmt: skip


def trainability(sizes: Sizes, say: Say) -> Iterator[Row]:
    """A network of width 8 in float64 over two learning rates: gdbench against a call of Python a step."""
    side, steps = sizes.trainability
    group = "trainability, width 8, float64"
    say(f"{group}, {side * side:,} lanes")
    axis = {"log": [1e-1, 1e3], "num": side}
    run = product.compiled(
        {
            "problems": [{"name": "trainability", "width": 8}], "steps": steps,
            "optimizers": [{"name": "layerwise_gd", "learning_rate": axis, "learning_rate_1": axis}],
        },
        "auto", "float64",
    )  # fmt: skip
    f = flat_objective("trainability", width=8)
    values, points = lanes_of(run)
    first = np.arange(points.shape[1]) < 8 * 8
    rates = np.where(first, values["learning_rate"][:, None], values["learning_rate_1"][:, None])
    check = checker(f, "gd", steps, rates, points, "float64")
    with jax.enable_x64(True):
        loop = step_loop(f, steps, rates, points)
        peer = measured(
            group, "step-loop", "jit(vmap(step)), a call of Python a step, all losses kept", loop, steps, check,
            sizes.patience,
        )  # fmt: skip
    told = f"gdbench, engine {run.cell.info['engine']} by its rule"
    own = measured(group, ENGINE, told, gdbench_ready(run), steps, check, sizes.patience)
    yield from against_peer([peer, own])


def step_loop(f: Callable[[Any], Any], steps: int, rates: np.ndarray, points: np.ndarray) -> Ready:
    """A batch of descents, each step a call of a jitted function, each loss brought to the host and kept."""

    def step(x: Any, rate: Any) -> Any:
        value, gradient = jax.value_and_grad(f)(x)
        return x - rate * gradient, value

    begin = time.perf_counter()
    start, rate = jnp.asarray(points), jnp.asarray(rates)
    compiled = jax.jit(jax.vmap(step)).lower(start, rate).compile()
    seconds = time.perf_counter() - begin

    def run() -> np.ndarray:
        x, losses = start, []
        for _ in range(steps + 1):
            x, loss = compiled(x, rate)
            losses.append(np.asarray(loss))
        return np.stack(losses)

    return Ready(run, lambda losses: np.fmin.reduce(losses, axis=0), np.arange(len(rates)), seconds)


def against_peer(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with their ratio to the first of them."""
    for row in rows:
        row.to_peer = ratio(row.lane_steps_per_second, rows[0].lane_steps_per_second)
    return rows


BATCH, JUDGED_EVERY = 64, 20
"""Images a step, and steps between two judgements on all images, of the digits network."""


def digits(sizes: Sizes, say: Say) -> Iterator[Row]:
    """A 64-32-10 network on images of digits: many trainings at once against torch, one after the other."""
    trainings, steps, single = sizes.digits
    group = "digits network, gd"
    say(f"{group}, {trainings:,} trainings")
    rates = max(1, int(np.sqrt(trainings)))
    run = product.compiled(digits_experiment(BATCH, steps, rates, trainings // rates), "auto")
    told = f"gdbench, engine {run.cell.info['engine']} by its rule, {trainings} trainings at once"
    own = Row(group, ENGINE, told, compile_seconds=run.timing.compile_seconds)
    own.take(timed(lambda: product.dispatch(run), patience=sizes.patience)[0], run.cell.grid.size, steps)
    own.take_table(timed(lambda: product.table(run), patience=sizes.patience)[0])

    def fill(peer: Row) -> None:
        own.take_agreement(same_network())
        use = peers.fastest_threads(lambda: torch_trainings(run, 1, max(1, steps // 10), BATCH))
        peers.torch_module().set_num_threads(use)
        times, _ = timed(lambda: torch_trainings(run, single, steps, BATCH), patience=sizes.patience)
        peer.take(times, single, steps)

    summary = "torch, one training after the other"
    yield from against_peer([attempt(Row(group, "torch-loop", summary, lanes_whole=trainings), fill), own])


def digits_experiment(batch: int, steps: int, rates: int, starts: int) -> dict[str, Any]:
    """Trainings of the digits network as an experiment of a suite."""
    return {
        "problems": [{"name": "digits_mlp", "batch": batch}], "steps": steps, "starts": {"kind": "box", "num": starts},
        "optimizers": [{"name": "gd", "learning_rate": {"log": [1e-2, 0.5], "num": rates}}],
    }  # fmt: skip


def same_network(steps: int = 20) -> Agreement:
    """Both train the same network: on all images at once, where nothing is drawn, their losses agree."""
    peers.torch_module().set_num_threads(1)
    run = product.compiled(digits_experiment(0, steps, 2, 2), "auto")
    losses = np.array(torch_trainings(run, 4, steps, 0))
    own = product.table(run).column("f_final").to_numpy()
    return agreement("torch-loop (digits)", np.arange(4), losses, own, np.ones(4, bool))


def torch_trainings(run: CellRun, count: int, steps: int, batch: int) -> list[float]:
    """The final losses of some of a cell's trainings, in torch, one after the other; batch 0 takes all images."""
    torch = peers.torch_module()
    rows = run.cell.choice.problem.data["rows"]
    images = torch.tensor(rows["images"], dtype=torch.float32)
    labels = torch.tensor(rows["labels"].argmax(1))
    values, points = lanes_of(run)
    loss_of, final = torch.nn.CrossEntropyLoss(), []
    for lane in np.unique(np.linspace(0, len(points) - 1, count).round().astype(int)):
        network = torch_network(torch, points[lane])
        optimizer = torch.optim.SGD(network.parameters(), lr=float(values["learning_rate"][lane]))
        for k in range(steps):
            if batch and k % JUDGED_EVERY == 0:
                with torch.no_grad():
                    loss_of(network(images), labels).item()
            drawn = torch.randint(len(images), (batch,)) if batch else slice(None)
            optimizer.zero_grad()
            loss_of(network(images[drawn]), labels[drawn]).backward()
            optimizer.step()
        with torch.no_grad():
            final.append(loss_of(network(images), labels).item())
    return final


def torch_network(torch: Any, x: np.ndarray) -> Any:
    """The network with the weights of a flat vector: biases and weights of either layer, sorted by name."""
    nn = torch.nn
    network = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 10))
    ends = np.cumsum([32, 64 * 32, 10, 32 * 10])
    parts = np.split(x.astype(np.float32), ends[:-1])
    with torch.no_grad():
        for layer, bias, weights in ((network[0], *parts[:2]), (network[2], *parts[2:])):
            layer.bias.copy_(torch.from_numpy(bias))
            layer.weight.copy_(torch.from_numpy(weights.reshape(-1, len(bias))).T)
    return network


GROUPS: Mapping[str, Callable[[Sizes, Say], Iterator[Row]]] = {
    "bbob-f8": functools.partial(bbob, "bbob/f8"),
    "bbob-f15": functools.partial(bbob, "bbob/f15"),
    "trainability": trainability,
    "digits": digits,
}
