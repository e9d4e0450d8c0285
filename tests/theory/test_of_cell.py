import numpy as np
import pytest

from gdbench.catalogue import gather
from gdbench.theory.forms import ClosedForm
from gdbench.theory.of_cell import boundary_error, known_of

FORMS = gather("gdbench.theory", ClosedForm)


def cell(theory="gradient_descent", curvature=(1.0, 10.0), axes=(), local=False, **hyperparameters):
    return {
        "optimizer": {"theory": theory, "hyperparameters": {"learning_rate": None, **hyperparameters}},
        "problem": {"curvature": curvature, "curvature_is_local": local},
        "axes": [{"name": "learning_rate", "kind": "hyperparameter", "values": [0.1, 0.2]}, *axes],
    }


def axis(name, values, kind="parameter"):
    return {"name": name, "kind": kind, "values": list(values)}


def known(*given, **more):
    found = known_of(*given, **more)
    assert found is not None
    return found


def test_boundary_rate_and_best_of_gradient_descent():
    found = known(cell(), {})
    assert found.boundary() == pytest.approx(0.2)
    assert found.rate([0.1, 0.2, 0.25]) == pytest.approx(2 * np.log10([0.9, 1.0, 1.5]))
    assert found.best_rate() == pytest.approx(2 / 11, rel=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
def test_the_best_learning_rate_at_a_momentum_is_no_worse_than_any_other(momentum):
    found = known(cell("heavy_ball", momentum=momentum), {})
    grid = np.geomspace(1e-3, 0.4, 20_001)
    assert found.rate(found.best_rate()) <= found.rate(grid).min() + 1e-6


def test_a_momentum_that_is_summarised_leaves_theory_without_an_answer():
    momentum = axis("momentum", [0.1, 0.9], "hyperparameter")
    swept = cell("heavy_ball", axes=[momentum], momentum=None)
    assert known_of(swept, {}) is None
    assert known(swept, {"momentum": np.array([0.1, 0.9])}).boundary() == pytest.approx([0.22, 0.38])


def test_no_form_or_no_curvature_says_nothing():
    assert known_of(cell(None), {}) is None
    assert known_of(cell("sorcery"), {}) is None
    assert known_of(cell(curvature=None), {}) is None


def test_curvatures_of_a_grid_of_parameters():
    two = cell(axes=[axis("a", [3.0, 1.0]), axis("b", [10.0, 20.0, 30.0])])
    two["problem"]["curvatures"] = [[1.0, 10.0], [1.0, 20.0], None, [1.0, 40.0], [1.0, 50.0], [-1.0, 60.0]]
    values = {"a": np.array([3.0, 3.0, 1.0, 1.0, 3.0]), "b": np.array([10.0, 20.0, 10.0, 30.0, 30.0])}
    assert known(two, values).boundary() == pytest.approx([0.2, 0.1, 0.05, np.nan, np.nan], nan_ok=True)
    assert known_of(two, {"a": 1.0}) is None


def test_a_run_without_curvatures_knows_those_of_a_condition_alone():
    assert known(cell(axes=[axis("condition", [1, 100])]), {"condition": 100.0}).boundary() == pytest.approx(0.02)
    assert known_of(cell(axes=[axis("steepness", [1, 100])]), {"steepness": 100.0}) is None


def test_flat_directions_have_a_boundary_and_no_rate():
    flat = known(cell(curvature=(0.0, 10.0)), {})
    assert flat.boundary() == pytest.approx(0.2)
    assert np.isnan(flat.rate(0.1)) and np.isnan(flat.best_rate())
    assert np.isnan(known(cell(curvature=(-1.0, 10.0)), {}).boundary())
    assert np.isnan(known(cell(curvature=(0.0, 0.0)), {}).boundary())


def test_the_measured_boundary_lies_between_the_last_rate_that_settles_and_the_next():
    rates = np.array([0.1, 0.15, 0.2, 0.4])
    measured, error = boundary_error(rates, np.array([1.0, 0.6, 0.5, 0.49]), 0.25)
    assert measured == pytest.approx(np.sqrt(0.2 * 0.4))
    assert error == pytest.approx(np.log10(np.sqrt(0.08) / 0.25))
    # Beyond the boundary a descent may look settled by chance.
    assert boundary_error(rates, np.array([1.0, 0.3, 0.9, 0.1]), 0.25)[0] == pytest.approx(np.sqrt(0.1 * 0.15))
    for shares in ([1.0] * 4, [0.0] * 4):
        assert np.isnan(boundary_error(rates, np.array(shares), 0.25)).all()


@pytest.mark.parametrize("name", sorted(set(FORMS) - {"newton", "weight_decay"}))
def test_the_largest_curvature_is_the_inverse_of_the_boundary(name):
    form = FORMS[name]
    momentum = 0.0 if name == "gradient_descent" else 0.6
    further = {"nu": 0.4} if form.further else {}
    largest = form.largest_curvature(0.07, momentum, **further)
    assert form.boundary(largest, momentum, **further) == pytest.approx(0.07, rel=1e-9)


def test_largest_curvatures_in_closed_form():
    assert FORMS["gradient_descent"].largest_curvature(0.05) == pytest.approx(40)
    assert FORMS["heavy_ball"].largest_curvature(0.05, 0.9) == pytest.approx(76)
    assert FORMS["weight_decay"].largest_curvature(0.05, weight_decay=3.0) == pytest.approx(37)
    assert FORMS["weight_decay"].largest_curvature(0.05, weight_decay=50.0) == 0
    assert FORMS["newton"].largest_curvature(1.5) == np.inf
    assert FORMS["newton"].largest_curvature(3.0, damping=2.0) == pytest.approx(4)
    assert np.isnan(FORMS["heavy_ball"].largest_curvature(0.1, 1.5))
