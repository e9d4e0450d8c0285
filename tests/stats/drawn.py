"""Costs as hypothesis draws them: with ties, zeros and unsolved ones."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

QUICK = settings(max_examples=40, deadline=None)
COST = st.sampled_from([0.0, 1.0, 2.0, 3.0, 7.5, 40.0, 1e6, np.inf])


@st.composite
def costs(draw, problems=6, solvers=4):
    """Costs [problems, solvers], 1 to 6 and 2 to 4 of them; infinite: unsolved."""
    shape = draw(st.tuples(st.integers(1, problems), st.integers(2, solvers)))
    return draw(arrays(float, shape, elements=COST))


@st.composite
def strata(draw):
    """Costs [solvers, units] of one to four problems with units of their own number, and the families of those."""
    solvers = draw(st.integers(2, 3))
    units = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    families = draw(st.lists(st.sampled_from("abc"), min_size=len(units), max_size=len(units)))
    return [draw(arrays(float, (solvers, n), elements=COST)) for n in units], families
