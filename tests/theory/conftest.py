from __future__ import annotations

import numpy as np
import pytest

WITHOUT_MOMENTUM = ("gradient_descent", "newton", "weight_decay")


def step(name: str, x, m, g, alpha, beta, curvature=0.0, nu=0.0, damping=0.0, weight_decay=0.0):
    """One step of the update rules as they are written, the reference that the closed forms are held to."""
    if name == "gradient_descent":
        return x - alpha * g, m
    if name == "newton":
        return x - alpha * g / (curvature + damping), m
    if name == "weight_decay":
        return x - alpha * g - alpha * weight_decay * x, m
    if name in ("ema_momentum", "quasi_hyperbolic"):
        m = beta * m + (1 - beta) * g
        return (x - alpha * m if name == "ema_momentum" else x - alpha * ((1 - nu) * g + nu * m)), m
    m = beta * m + g
    return (x - alpha * m, m) if name == "heavy_ball" else (x - alpha * (g + beta * m), m)


def matrix(name: str, alpha: float, curvature: float, beta: float, **further: float) -> np.ndarray:
    """The matrix that the rule, fed unit vectors, turns out to be; of x alone where there is no momentum."""
    size = 1 if name in WITHOUT_MOMENTUM else 2
    ways = ((1.0, 0.0), (0.0, 1.0))
    return np.array([step(name, x, m, curvature * x, alpha, beta, curvature, **further) for x, m in ways]).T[
        :size, :size
    ]


def spectral_radius(name: str, alpha: float, curvature: float, beta: float, **further: float) -> float:
    """Largest modulus of numpy's eigenvalues of that matrix."""
    return float(np.abs(np.linalg.eigvals(matrix(name, alpha, curvature, beta, **further))).max())


def simulate(name: str, x0, eigenvalues, alpha: float, beta: float, steps: int, **further: float) -> np.ndarray:
    """The recurrence run step by step in float64, shape [steps + 1, dim]."""
    x, m, path = np.array(x0, dtype=float), np.zeros(len(x0)), [np.array(x0, dtype=float)]
    for _ in range(steps):
        x, m = step(name, x, m, eigenvalues * x, alpha, beta, eigenvalues, **further)
        path.append(x)
    return np.array(path)


def stationary_variance(
    name: str, alpha: float, beta: float, curvature: float, noise: float, of=(1.0, 0.0), **further: float
) -> float:
    """Variance of of[0] x + of[1] m under noise: S = A S A^T + noise^2 b b^T solved for the covariance S of (x, m)."""
    a = matrix(name, alpha, curvature, beta, **further)
    size = len(a)
    b = np.array(step(name, 0.0, 0.0, 1.0, alpha, beta, curvature, **further))[:size]
    covariance = np.linalg.solve(np.eye(size**2) - np.kron(a, a), noise**2 * np.outer(b, b).ravel())
    return float(np.array(of)[:size] @ covariance.reshape(size, size) @ np.array(of)[:size])


@pytest.fixture
def reference():
    class Reference:
        radius = staticmethod(spectral_radius)
        simulate = staticmethod(simulate)
        stationary_variance = staticmethod(stationary_variance)

    return Reference
