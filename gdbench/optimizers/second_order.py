"""Methods that solve with curvature: of the whole function, or of the residuals that it is a sum of squares of."""

from __future__ import annotations

from typing import Any

from gdbench.contracts import Array, Cost, Hyperparameter, Optimizer, Oracle, Step
from gdbench.lazy import jax, jnp, lax
from gdbench.optimizers.rules import documented

MOST_DIM = 256
"""A matrix of n² numbers and n³ operations a step for every descent of a block."""

WHOLE_STEP = Hyperparameter(1.0, "the whole step, for which the method converges quadratically")


def _nothing(oracle: Oracle, x: Array, h: Any) -> tuple[()]:
    return ()


def _newton(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
    """x ← x − α (H + λ I)⁻¹ g,  λ = damping

    H from n Hessian-vector products. Any point of rest attracts it, saddles and maxima as well; where H + λ I is
    singular it leaves the range of numbers.

    Source: Nocedal, Wright, Numerical Optimization (2006), sections 3.3 and 3.4.
    """
    value, gradient = oracle.value_and_grad(x)
    basis = jnp.eye(x.shape[0], dtype=x.dtype)
    hessian = jax.vmap(lambda direction: oracle.hvp(x, direction))(basis)  # pyright: ignore[reportOptionalCall]
    step = jnp.linalg.solve(hessian + h.damping * basis, gradient)
    # At rest it stays, singular or not.
    step = jnp.where(jnp.any(gradient != 0), step, 0)
    return Step(x - h.learning_rate * step, state, value, gradient, Cost(g=1, h=x.shape[0]))


_FORMULA, _SOURCE = documented(_newton)

newton = Optimizer(
    "newton",
    _nothing,
    _newton,
    {
        "learning_rate": WHOLE_STEP,
        "damping": Hyperparameter(0.0, "Newton's method"),
    },
    _FORMULA,
    _SOURCE,
    theory="newton",
    most_dim=MOST_DIM,
    costs="1 g + n h",
)


def _gauss_newton(oracle: Oracle, x: Array, state: Any, h: Any, k: Array) -> Step:
    """x ← x − α (JᵀJ + λ I)⁻¹ Jᵀ r,  f = rᵀr,  J = ∂r/∂x,  λ = damping

    Solved as the least-squares problem |J d − r|² + λ |d|², of which the shortest solution is taken where there are
    several. J is found column by column, with r beside it, and f and its gradient 2 Jᵀr follow: n g in all.

    Source: Nocedal, Wright, Numerical Optimization (2006), section 10.3.
    """
    columns, residuals = jacobian_and_residuals(oracle, x)
    damped = jnp.concatenate([columns, jnp.sqrt(h.damping) * jnp.eye(x.shape[0], dtype=x.dtype)])
    step = least_squares(damped, jnp.concatenate([residuals, jnp.zeros_like(x)]))
    value, gradient = jnp.sum(residuals**2), 2 * residuals @ columns
    return Step(x - h.learning_rate * step.astype(x.dtype), state, value, gradient, Cost(g=x.shape[0]))


def least_squares(a: Array, b: Array) -> Array:
    """The shortest x that makes |a x − b| least, a of shape [m, n] with m ≥ n.

    By QR where a has full rank, otherwise by the eigenvectors of aᵀa: one after the other, for two calls of LAPACK that
    run beside each other on a CPU may wait for each other for ever (jaxlib 0.10.2), as singular values do that are
    found on two devices at once.
    """
    tiny = a.shape[1] * jnp.finfo(a.dtype).eps
    q, r = jnp.linalg.qr(a)
    size = jnp.abs(jnp.diagonal(r))
    full = jnp.min(size) > tiny * jnp.max(size)
    direct = jax.scipy.linalg.solve_triangular(jnp.where(full, r, jnp.eye(a.shape[1], dtype=a.dtype)), q.T @ b)
    gram, direct = lax.optimization_barrier((r.T @ r, direct))
    values, vectors = jnp.linalg.eigh(gram)
    kept = values > tiny * values[-1]
    shortest = vectors @ (jnp.where(kept, 1 / jnp.where(kept, values, 1), 0) * (vectors.T @ (a.T @ b)))
    return jnp.where(full, direct, shortest)


def jacobian_and_residuals(oracle: Oracle, x: Array) -> tuple[Array, Array]:
    """J, shape [m, n], and r, shape [m]."""
    residuals, push = jax.linearize(oracle.residuals, x)  # pyright: ignore[reportArgumentType]: it is needed
    return jax.vmap(push, out_axes=1)(jnp.eye(x.shape[0], dtype=x.dtype)), residuals


_FORMULA, _SOURCE = documented(_gauss_newton)

gauss_newton = Optimizer(
    "gauss_newton",
    _nothing,
    _gauss_newton,
    {
        "learning_rate": WHOLE_STEP,
        "damping": Hyperparameter(0.0, "Gauss's method"),
    },
    _FORMULA,
    _SOURCE,
    needs=("residuals",),
    most_dim=MOST_DIM,
    costs="n g",
)
