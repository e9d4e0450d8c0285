import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from gdbench.figures.scale import scale_of, tick_plain


@pytest.mark.parametrize(
    ("values", "hint", "kind"),
    [
        (np.logspace(-4, 1, 30), "log", "log"),
        (np.logspace(-4, 1, 30).astype(np.float32), "log", "log"),
        (np.logspace(-3, 0, 9), "list", "log"),
        (np.linspace(-1, 3, 20), "linear", "linear"),
        (np.linspace(0.1, 0.9, 9), "list", "linear"),
        ([0.0, 0.5, 0.9, 0.99], "list", "rank"),
        ([0.8, 0.9], "list", "rank"),
        ([1, 2, 4, 5, 7, 19, 100], "list", "rank"),
        (np.linspace(0, 1, 9), "log", "linear"),
    ],
)
def test_kind(values, hint, kind):
    assert scale_of(np.asarray(values, float), hint).kind == kind


def test_the_extent_of_a_log_axis_is_in_log10_with_half_a_pixel_around():
    scale = scale_of(np.logspace(-3, 0, 4), "log")
    assert scale.extent() == pytest.approx((-3.5, 0.5))
    assert scale.extent(stride=2) == pytest.approx((-3.5, 0.5))
    assert scale.extent(stride=3) == pytest.approx((-3.5, 2.5))
    assert scale.position(0.01) == pytest.approx(-2)


def test_a_list_places_values_between_its_neighbours():
    scale = scale_of(np.array([0.0, 0.5, 0.9]), "list")
    assert scale.extent() == (-0.5, 2.5)
    assert scale.position(np.array([0.0, 0.25, 0.9])) == pytest.approx([0, 0.5, 2])
    assert np.isnan(scale.position(2.0))
    assert scale.inside(0.7) and not scale.inside(2.0)


def test_nothing_at_or_below_zero_stands_on_a_log_axis():
    scale = scale_of(np.logspace(-3, 0, 4), "log")
    assert np.isnan(scale.position(0.0)) and not scale.inside(0.0) and not scale.inside(-1.0)


@pytest.mark.parametrize(
    ("values", "hint", "expected"),
    [
        (np.logspace(-3, 0, 31), "log", ["10⁻³", "10⁻²", "10⁻¹", "10⁰"]),
        (np.logspace(-12, 2, 29), "log", ["10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "10⁰"]),
        (np.geomspace(0.1, 0.5, 9), "log", ["0.1", "0.2", "0.3", "0.5"]),
        ([0.0, 0.5, 0.99], "list", ["0", "0.5", "0.99"]),
    ],
)
def test_tick_labels(values, hint, expected):
    scale = scale_of(np.asarray(values), hint)
    ax = Canvas().add_subplot()
    ax.set_xlim(scale.extent())
    scale.tick(ax.xaxis)
    assert [label.get_text() for label in ax.get_xticklabels()] == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.004, 0.021, {"0.005", "0.01", "0.02"}), (1.0, 4.0, {"1", "2", "3", "4"})]
)
def test_a_short_logarithmic_axis_has_plain_numbers(low, high, expected):
    ax = Canvas().add_subplot()
    ax.set(xscale="log", xlim=(low, high))
    tick_plain(ax.xaxis)
    ax.figure.draw_without_rendering()
    shown = [t.label1.get_text() for t in ax.xaxis.get_major_ticks() if low <= t.get_loc() <= high]
    assert set(shown) == expected


def test_a_long_logarithmic_axis_keeps_its_powers_of_ten():
    ax = Canvas().add_subplot()
    ax.set(xscale="log", xlim=(1e-4, 1.0))
    before = ax.xaxis.get_major_formatter()
    tick_plain(ax.xaxis)
    assert ax.xaxis.get_major_formatter() is before
