from __future__ import annotations

import numpy as np
import pytest


def step(name: str, x, m, g, alpha, beta):
    """One step of the update rules as they are written, the reference that the closed forms are held to."""
    if name == "gradient_descent":
        return x - alpha * g, m
    m = beta * m + g
    return (x - alpha * m, m) if name == "heavy_ball" else (x - alpha * (g + beta * m), m)


def spectral_radius(name: str, q: float, beta: float) -> float:
    """Largest modulus of numpy's eigenvalues of the matrix that the rule, fed unit vectors, turns out to be."""
    columns = [step(name, x, m, q * x, 1.0, beta) for x, m in ((1.0, 0.0), (0.0, 1.0))]
    return float(np.abs(np.linalg.eigvals(np.array(columns).T)).max()) if name != "gradient_descent" else abs(1 - q)


def simulate(name: str, x0, eigenvalues, alpha: float, beta: float, steps: int) -> np.ndarray:
    """The recurrence run step by step in float64, shape [steps + 1, dim]."""
    x, m, path = np.array(x0, dtype=float), np.zeros(len(x0)), [np.array(x0, dtype=float)]
    for _ in range(steps):
        x, m = step(name, x, m, eigenvalues * x, alpha, beta)
        path.append(x)
    return np.array(path)


def stationary_variance(name: str, alpha: float, beta: float, curvature: float, noise: float, of=(1.0, 0.0)) -> float:
    """Variance of of[0] x + of[1] m under noise: S = A S A^T + noise^2 b b^T solved for the covariance S of (x, m)."""
    columns = [step(name, x, m, curvature * x, alpha, beta) for x, m in ((1.0, 0.0), (0.0, 1.0))]
    size = 1 if name == "gradient_descent" else 2
    a, b = np.array(columns).T[:size, :size], np.array(step(name, 0.0, 0.0, 1.0, alpha, beta))[:size]
    covariance = np.linalg.solve(np.eye(size**2) - np.kron(a, a), noise**2 * np.outer(b, b).ravel())
    return float(np.array(of)[:size] @ covariance.reshape(size, size) @ np.array(of)[:size])


@pytest.fixture
def reference():
    class Reference:
        radius = staticmethod(spectral_radius)
        simulate = staticmethod(simulate)
        stationary_variance = staticmethod(stationary_variance)

    return Reference
