"""Runs side by side: what differs between them, how each does, and what pairs of the same descents say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gdbench.errors import StoreError

if TYPE_CHECKING:
    from gdbench.comparison.rows import Comparison
    from gdbench.comparison.rules import Verdict
    from gdbench.report.study import Results

__all__ = ["compare", "write_comparison"]


def compare(runs: Sequence[Results]) -> Comparison:
    """Compare runs with the first of them; see ``gdbench.comparison.rows.compare``."""
    from gdbench.comparison import rows

    return rows.compare(runs)


def write_comparison(comparison: Comparison, folder: Path | str, verdict: Verdict | None = None) -> Path:
    """Write ``comparison.html``, which opens offline, ``comparison.md`` and ``comparison.csv``.

    Returns:
        The path of ``comparison.html``.

    Raises:
        StoreError: the folder cannot be written.
    """
    from gdbench.comparison.page import html
    from gdbench.comparison.text import frame, markdown

    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / "comparison.md").write_text(markdown(comparison, verdict), encoding="utf-8")
        (target / "comparison.html").write_text(html(comparison, verdict), encoding="utf-8")
        frame(comparison).to_csv(target / "comparison.csv", index=False)
    except OSError as error:
        raise StoreError(f"cannot write the comparison into {target}: {error.strerror or error}") from error
    return target / "comparison.html"
