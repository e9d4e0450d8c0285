r"""The answer tables in LaTeX, for a paper: booktabs, intervals, and in bold what the intervals do not tell apart."""

from __future__ import annotations

import re
import unicodedata

from gdbench.report.lines import AnswerBlock, AnswerGroup, AnswerLine, answer_groups
from gdbench.report.study import Results, Study
from gdbench.report.words import MISSING

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "[": "{[}", "]": "{]}", "*": r"\textasteriskcentered{}",
}  # fmt: skip
"""Characters that LaTeX would read as something else, or take for a part of the command before (as ``[`` and ``*``)."""

SYMBOLS = {
    "−": "$-$", "–": r"\textendash{}", "—": r"\textemdash{}", "∞": r"$\infty$", "≥": r"$\geq$", "≤": r"$\leq$",
    "×": r"$\times$", "·": r"$\cdot$", "…": r"\ldots{}", "“": "``", "”": "''", "\N{NO-BREAK SPACE}": "~",
}  # fmt: skip

POWER = re.compile("×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_PLAIN = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
HEADS = ("Problem", "Optimizer", "Regime", "Setting", "Converged", "Median cost", "Final gap", "Width", "Diverged")
CAPTION = (
    r"each setting at starts that had no say in choosing it, with 95\,\% intervals over starts. Bold: first, or not "
    r"told apart from the first by its intervals. Cost: evaluations. Width: decades of usable learning rates. "
    r"Diverged: share of the whole grid. $\dagger$: the setting lies on the edge of its grid. $\ddagger$: the "
    r"optimizer is told the minimum, and is not compared."
)
PREAMBLE = r"""% Needs \usepackage{booktabs,longtable,textcomp} and \usepackage[T1]{fontenc}; \input this file.
% In bold: what comes first at held-out starts, and what the 95% intervals of share and cost do not tell apart from it.
"""


def latex(results: Results, study: Study) -> str:
    """The whole of ``answers.tex``: a table for each experiment and dtype; nothing of it is a document of its own."""
    groups = answer_groups(results, study)
    name = _comment(results.suite["suite"]["name"])
    parts = [f"% Answers of the gdbench suite {name}\n{PREAMBLE}"]
    parts += [_table(group, number) for number, group in enumerate(groups, 1)]
    return "\n".join(parts) if groups else parts[0] + "% Nothing ran, so there is no answer.\n"


def escape(text: str) -> str:
    """Text in which no character is a command: for any name, in a table's entry or a caption.

    Numbers as the report writes them (4.5×10⁻⁷, ∞) become mathematics, and so do Greek letters. Other characters beyond
    ASCII stay, as UTF-8.
    """
    parts = []
    end = 0
    for power in POWER.finditer(text):
        parts += [*map(_character, text[end : power.start()]), rf"$\times 10^{{{power[1].translate(_PLAIN)}}}$"]
        end = power.end()
    return "".join([*parts, *map(_character, text[end:])]).replace("--", "-{}-")


def _character(one: str) -> str:
    if one in SPECIAL:
        return SPECIAL[one]
    if one in SYMBOLS:
        return SYMBOLS[one]
    if one.isspace() or unicodedata.category(one) in ("Cc", "Cf"):
        return " "
    return _greek(one) if unicodedata.name(one, "").startswith("GREEK") else one


def _greek(one: str) -> str:
    r"""\alpha, \Omega, … where LaTeX has the letter under that name."""
    found = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (\w+)", unicodedata.name(one))
    word = found[2].lower().replace("lamda", "lambda") if found else ""
    own = {"small": GREEK, "capital": CAPITALS}[found[1].lower()] if found else ()
    if word not in own:
        return one
    return rf"$\{word if found and found[1] == 'SMALL' else word.capitalize()}$"


GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
)  # fmt: skip
CAPITALS = ("gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega")


def _comment(text: str) -> str:
    """Text for a comment: on one line."""
    return " ".join(text.split())


def _table(group: AnswerGroup, number: int) -> str:
    gaps = {block.gap_name for block in group.blocks}
    heads = [*HEADS[:6], gaps.pop() if len(gaps) == 1 else "Final gap or f", *HEADS[7:]]
    caption = f"{escape(group.experiment)}, {escape(group.dtype)}: {CAPTION}"
    head = r"\toprule" + "\n" + " & ".join(heads) + r" \\" + "\n" + r"\midrule"
    rows = [_block(block) for block in group.blocks]
    return "\n".join(
        [
            r"\begingroup\small\setlength{\tabcolsep}{4pt}",
            r"\begin{longtable}{lllp{3.2cm}llrrr}",
            rf"\caption{{{caption}}}\label{{tab:gdbench-{number}}}\\",
            head, r"\endfirsthead", head, r"\endhead", r"\bottomrule", r"\endlastfoot",
            ("\n" + r"\addlinespace" + "\n").join(rows),
            r"\end{longtable}", r"\endgroup", "",
        ]
    )  # fmt: skip


def _block(block: AnswerBlock) -> str:
    """The rows of one problem, whose name stands in the first."""
    lines = [_row(line) for line in block.lines]
    return "\n".join(f"{escape(block.title) if i == 0 else ''} & {line}" for i, line in enumerate(lines))


def _row(line: AnswerLine) -> str:
    name = escape(line.optimizer) + (rf" (as {escape(line.alias)})" if line.alias else "")
    name += r"$^\ddagger$" if line.oracle else ""
    setting = (
        escape(line.setting) + (r"$^\dagger$" if line.untuned else "") + (" (in-sample)" if line.in_sample else "")
    )
    if line.share is None:
        entries = [name, escape(line.regime), setting, rf"\multicolumn{{4}}{{p{{6cm}}}}{{{escape(line.note)}}}"]
        return " & ".join([*entries, escape(line.diverged)]) + r" \\"
    shown = [_bold(name, line.leads), escape(line.regime), setting]
    shown += [
        _estimate(line.converged, line.interval, line.leads),
        _estimate(line.cost, line.cost_interval, line.leads),
    ]
    return " & ".join([*shown, escape(line.gap), escape(line.width), escape(line.diverged)]) + r" \\"


def _estimate(value: str, interval: str, bold: bool) -> str:
    """A value with its interval in brackets."""
    text = _bold(escape(value), bold)
    return text if interval in ("", MISSING) else rf"{text} {{\footnotesize[{escape(interval)}]}}"


def _bold(text: str, bold: bool) -> str:
    return rf"\textbf{{\boldmath {text}}}" if bold else text
