import numpy as np
import pytest

from gdbench.figures import theory_check
from gdbench.figures.base import pictures, render, save
from gdbench.theory import heavy_ball


@pytest.fixture
def one_mode(build):
    """Gradient descent on (x - 1)^2, whose rate is theory's from the first step on."""
    return build.run(
        [
            build.cell(
                build.parabola(),
                "gd",
                {"learning_rate": np.r_[np.geomspace(1e-3, 0.4, 12), np.linspace(0.81, 1.41, 31)]},
                steps=300,
            )
        ]
    )


def test_one_mode_goes_at_the_rate_of_theory(one_mode):
    frame = theory_check.data(one_mode, one_mode.cells[0]["id"])
    assert frame["theory"].to_numpy() == pytest.approx(2 * np.log10(np.abs(1 - 2 * frame["learning_rate"])))
    # Faster ones reach the last bit of x, where x - 1 falls no more.
    slow = frame["theory"] > -0.06
    assert slow.sum() > 15
    assert frame["difference"][slow].to_numpy() == pytest.approx(0, abs=1e-9)


def test_the_measured_boundary_is_within_half_a_step_of_the_grid(one_mode):
    frame = theory_check.data(one_mode, one_mode.cells[0]["id"])
    assert frame["boundary"].to_numpy() == pytest.approx(1.0)
    assert frame["boundary_error"].nunique() == 1
    assert abs(frame["boundary_error"].iloc[0]) < np.log10(1.03)
    assert "boundary error" in frame.attrs["title"] and "decades" in frame.attrs["title"]


def test_over_momentum_every_row_has_its_boundary(momentum_run):
    (case,) = theory_check.cases(momentum_run)
    assert case == {"cell": momentum_run.cells[0]["id"], "y": "momentum"}
    frame = theory_check.data(momentum_run, **case)
    assert frame["boundary"].to_numpy() == pytest.approx(2 * (1 + frame["momentum"].to_numpy()) / 10)
    some = frame.iloc[::37]
    rates = heavy_ball.rate(some["learning_rate"], [1.0, 10.0], some["momentum"])
    assert some["theory"].to_numpy() == pytest.approx(rates)
    by_row = frame.groupby("momentum").first()
    assert by_row["boundary_error"].abs().max() < 0.05
    expected = np.log10(by_row["measured_boundary"] / by_row["boundary"])
    assert by_row["boundary_error"].to_numpy() == pytest.approx(expected.to_numpy(), nan_ok=True)


def test_no_theory_no_case(quadratic_run):
    assert {case["cell"].split("/")[2] for case in theory_check.cases(quadratic_run)} == {"gd", "heavy_ball"}


def test_a_boundary_outside_of_the_grid_is_said(build):
    results = build.run([build.cell(build.quadratic(), "gd", {"learning_rate": np.linspace(0.01, 0.1, 5)})])
    frame = theory_check.data(results, results.cells[0]["id"])
    assert frame["boundary_error"].isna().all() and "outside" in frame.attrs["title"]


def test_both_kinds_are_drawn_and_saved(momentum_run, one_mode, tmp_path):
    for results in (momentum_run, one_mode):
        ((stem, cases),) = pictures(theory_check.FIGURE, results).items()
        picture = render(theory_check.FIGURE, results, cases)
        drawn = {line.get_gid() for ax in picture.findobj(lambda artist: hasattr(artist, "lines")) for line in ax.lines}
        assert {"theory", "measured"} <= drawn
        for path in save(picture, tmp_path, stem).values():
            assert path.stat().st_size > 1000
