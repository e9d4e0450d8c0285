"""Steps of a block of lanes in one loop: the numbers of a loop over steps, whatever the body carries and is given."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdbench as gd
from gdbench.kernels import compiler, slots, together

LANES = 64


def swings(rate: Any, scale: Any) -> Any:
    """Carries a counter that lanes share, reals, whole numbers and a truth value; divides by what lanes share, and by a
    number.
    """

    def body(carry: Any) -> Any:
        k, x, update, crossed, far, held = carry
        new = x - rate * 2 * (x / 3) * 3 / (1 + k.astype(x.dtype)) * scale
        now = new - x
        return k + 1, new, now, crossed + jnp.sum(now * update < 0), far | jnp.any(jnp.abs(x) > 1.5), held

    return body


def begin(x: Any) -> Any:
    return jnp.int32(0), x, jnp.zeros_like(x), jnp.int32(0), jnp.bool_(False), jnp.float32(3)


@pytest.mark.parametrize("checked", [compiler.MANY, 60, 1], ids=["plain", "packed", "paired"])
@settings(max_examples=8, deadline=None)
@given(length=st.integers(1, 30), most=st.integers(1, 6))
def test_it_is_a_loop_over_steps(checked: int, length: int, most: int) -> None:
    rates, starts = jnp.linspace(0.1, 2.5, LANES), jnp.stack([jnp.linspace(-2, 2, LANES)] * 2, 1)

    def one(rate: Any, x: Any) -> Any:
        return together.walk(swings(rate, jnp.float32(1.25)), begin(x), length)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "pairs_checked", lambda: checked)
        patch.setattr(together, "MOST_STEPS", most)
        found = jax.jit(jax.vmap(one))(rates, starts)
    exact = jax.jit(lambda *a: jax.lax.map(lambda pair: one(*pair), a))(rates, starts)
    for got, wanted in zip(found, exact, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_what_a_body_does_not_change_is_not_carried() -> None:
    x = jnp.ones((LANES, 2))
    out = jax.vmap(lambda x: together.walk(swings(0.1, 1.0), begin(x), 3))(x)
    assert np.all(np.asarray(out[-1]) == 3) and np.all(np.asarray(out[0]) == 3)


def test_numbers_that_are_carried_in_whole_trips_and_a_rest() -> None:
    for length in range(1, 70):
        for most in range(1, 7):
            each, parts, rest = slots.cut(length, most)
            assert sum(parts) == each and length // each * each + sum(rest) == length
            assert max([*parts, *rest]) <= most


@pytest.mark.slow
def test_neighbours_change_nothing_where_chunks_are_gone_through_again() -> None:
    # Lanes that diverge, at other steps, share the blocks of one sweep and not of the other.
    rates = [float(r) for r in np.geomspace(1e-4, 1e-3, 8)]
    calm = gd.sweep("rosenbrock", "gd", learning_rate=rates, starts=gd.starts("sobol", 16), steps=1000, engine="lanes")
    wild = gd.sweep(
        "rosenbrock", "gd", learning_rate=[*rates, 3e-3, 0.02, 1.0], starts=gd.starts("sobol", 16), steps=1000,
        engine="lanes",
    )  # fmt: skip
    both = [s.table.set_index(["learning_rate", "start"]) for s in (calm, wild)]
    assert (both[1]["outcome"] == "diverged").any()
    columns = [name for name in both[0] if name not in ("cell",)]
    a, b = both[0][columns], both[1][columns].loc[both[0].index]
    assert all(a[name].astype(str).tolist() == b[name].astype(str).tolist() for name in columns)


def test_where_xla_takes_rows_in_another_order_each_result_has_a_loop_of_its_own(monkeypatch: Any) -> None:
    rates, starts = jnp.linspace(0.1, 2.5, LANES), jnp.ones((LANES, 2))
    assert together.in_order()
    found = []
    for in_order in (True, False):
        monkeypatch.setattr(together, "in_order", lambda in_order=in_order: in_order)
        program = jax.make_jaxpr(jax.vmap(lambda r, x: together.walk(swings(r, 1.25), begin(x), 7)))(rates, starts)
        assert ("reduce[" in str(program)) == in_order
        found.append(jax.jit(jax.vmap(lambda r, x: together.walk(swings(r, 1.25), begin(x), 7)))(rates, starts))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)


def test_a_step_that_is_too_large_is_not_written_out() -> None:
    def body(x: Any) -> Any:
        for _ in range(together.UNROLLED):
            x = jnp.sin(x) * 1.5
        return x

    program = jax.make_jaxpr(jax.vmap(lambda x: together.walk(body, x, 3)))(jnp.ones(LANES))
    assert "reduce[" not in str(program)
