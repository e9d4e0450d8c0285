"""A run becomes one offline HTML page and a Markdown summary, with its figures beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gdbench.errors import StoreError

if TYPE_CHECKING:
    from gdbench.report.study import Results

__all__ = ["write_report"]


def write_report(results: Results, folder: Path | str | None = None) -> Path:
    """Write ``report.html``, ``report.md`` and ``figures/`` for a run.

    Args:
        results: the run, finished or not; one that went badly gets a report that says so.
        folder: where to write; the run's own folder when None.

    Returns:
        The path of ``report.html``.

    Raises:
        StoreError: the results have no folder and none is given, or it cannot be written.
    """
    results.need_whole("a report")
    # Jinja2, matplotlib and SciPy are only paid for when a report is written.
    from gdbench.report.caveats import caveats
    from gdbench.report.markdown import markdown
    from gdbench.report.page import html
    from gdbench.report.pictures import sections
    from gdbench.report.study import read

    target = folder if folder is not None else results.path
    if target is None:
        raise StoreError("a sweep in memory has no folder: name one, as in write_report(results, 'my-report')")
    target = Path(target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        study = read(results)
        figures = sections(results, target)
        found = caveats(results, study, sum(len(section.errors) for section in figures))
        page = html(results, study, found, figures)
        (target / "report.md").write_text(markdown(results, study, found), encoding="utf-8")
        (target / "report.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write the report into {target}: {error.strerror or error}") from error
    return target / "report.html"
