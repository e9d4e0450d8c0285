"""A run becomes one offline HTML page, and its answers tables in Markdown, LaTeX, CSV and Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gdbench.errors import StoreError

if TYPE_CHECKING:
    from gdbench.report.study import Results

__all__ = ["FORMATS", "write_report"]

FORMATS = {
    "html": "report.html", "md": "report.md", "latex": "answers.tex", "csv": "answers.csv",
    "parquet": "answers.parquet",
}  # fmt: skip
"""What a report can be written as, and the file of each."""


def write_report(results: Results, folder: Path | str | None = None, formats: Sequence[str] = tuple(FORMATS)) -> Path:
    """Write ``report.html`` with ``figures/``, ``report.md``, ``answers.tex``, ``.csv`` and ``.parquet`` for a run.

    Beside ``report.html`` comes ``lesson.html``, where the run's suite claims something.

    Args:
        results: the run, finished or not; one that went badly gets a report that says so.
        folder: where to write; the run's own folder when None.
        formats: which of FORMATS; figures are drawn for "html" alone.

    Returns:
        The path of the first of them: of ``report.html``, by default.

    Raises:
        StoreError: the results have no folder and none is given, or it cannot be written.
    """
    results.need_whole("a report")
    # Jinja2, matplotlib and SciPy are only paid for when a report is written.
    from gdbench.report.caveats import caveats
    from gdbench.report.claims import LESSON
    from gdbench.report.latex import latex
    from gdbench.report.lesson import lesson
    from gdbench.report.markdown import markdown
    from gdbench.report.page import html
    from gdbench.report.pictures import sections
    from gdbench.report.study import read
    from gdbench.report.tables import answers_frame

    target = folder if folder is not None else results.path
    if target is None:
        raise StoreError("a sweep in memory has no folder: name one, as in write_report(results, 'my-report')")
    target = Path(target)
    try:
        target.mkdir(parents=True, exist_ok=True)
        study = read(results)
        figures = sections(results, target) if "html" in formats else []
        found = caveats(results, study, sum(len(section.errors) for section in figures))
        for name in formats:
            path = target / FORMATS[name]
            if name == "html":
                path.write_text(html(results, study, found, figures), encoding="utf-8")
                if results.suite.get("claim"):
                    (target / LESSON).write_text(lesson(results, target, figures), encoding="utf-8")
            elif name == "md":
                path.write_text(markdown(results, study, found), encoding="utf-8")
            elif name == "latex":
                path.write_text(latex(results, study), encoding="utf-8")
            elif name == "csv":
                answers_frame(results, study).to_csv(path, index=False)
            else:
                answers_frame(results, study).to_parquet(path, index=False)
    except OSError as error:
        raise StoreError(f"cannot write the report into {target}: {error.strerror or error}") from error
    return target / FORMATS[formats[0]]
