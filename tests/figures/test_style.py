import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from gdbench.contracts import OUTCOMES
from gdbench.figures.style import OUTCOME_COLOURS, RATE_MAP, number, optimizer_style, outcome_image


def test_styles_depend_on_the_place_in_the_run_and_differ():
    labels = [f"o{i}" for i in range(20)]
    styles = optimizer_style([*labels, "o3", "o0"])
    assert list(styles) == labels
    assert len({(style["color"], str(style["linestyle"])) for style in styles.values()}) == 20
    assert optimizer_style(labels[:5]) == {label: styles[label] for label in labels[:5]}


def test_every_outcome_has_a_colour_of_its_own():
    assert set(OUTCOME_COLOURS) == set(OUTCOMES)
    assert len(set(OUTCOME_COLOURS.values())) == len(OUTCOMES)


def test_outcome_image_and_no_descent():
    image = outcome_image(np.array([[OUTCOMES.index("converged"), -1]]))
    assert image[0, 0] == pytest.approx(to_rgb("#0072B2"))
    assert image[0, 1] == pytest.approx([1, 1, 1])


def test_the_rate_map_is_dark_in_the_middle_and_cyan_where_it_converges():
    low, middle, high = matplotlib.colormaps[RATE_MAP](np.array([0.0, 0.5, 1.0]))[:, :3]
    assert middle.sum() < 1 < min(low.sum(), high.sum())
    assert low[2] > low[0] and high[0] > high[2]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1000, "1000"), (-0.5, "−0.5"), (0.123456, "0.123"), (1e-7, "1e−7"), (2e6, "2e6"), (31.6228, "31.6")],
)
def test_numbers_in_labels(value, text):
    assert number(value) == text
