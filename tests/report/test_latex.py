"""The LaTeX tables: nothing in a name is a command, every row is whole, bold says what the intervals say."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from gdbench.report.latex import CAPITALS, GREEK, escape, latex
from gdbench.report.lines import answer_groups
from gdbench.report.study import read
from gdbench.report.words import number

COMMANDS = {
    r"\textbackslash": "\\", r"\textasciicircum": "^", r"\textasciitilde": "~", r"\textless": "<", r"\textgreater": ">",
    r"\textbar": "|", r"\textquotedbl": '"', r"\textquotesingle": "'", r"\textasciigrave": "`",
    r"\textasteriskcentered": "*", r"\{": "{", r"\}": "}", r"\$": "$", r"\&": "&", r"\#": "#", r"\%": "%", r"\_": "_",
}  # fmt: skip
ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126))
HOSTILE = r"\input{x} $50 & 100% #1 _a^b ~ {[*]} -- `'\" <b> |"


def typeset(source: str) -> str:
    """What LaTeX sets for text without mathematics, by its rules and not by the escape's tables."""
    said, i = "", 0
    while i < len(source):
        word = re.match(r"\\([A-Za-z]+|.)", source[i:])
        if word:
            assert word[0] in COMMANDS, f"a command {word[0]}"
            said += COMMANDS[word[0]]
            i += word.end()
            assert len(word[0]) == 2 or source[i : i + 2] == "{}", "a command that swallows the space behind it"
        elif source[i] in "{}":
            i += 1
        else:
            assert source[i] not in "$&#%_^~<>|\"'`*", f"a bare {source[i]}"
            assert source[i : i + 2] != "--", "two hyphens are one dash"
            said += source[i]
            i += 1
    return said


def balanced(source: str) -> bool:
    """Whether braces that are not escaped nest."""
    depth = 0
    for mark in re.sub(r"\\\\|\\[{}]", "", source):
        depth += (mark == "{") - (mark == "}")
        if depth < 0:
            return False
    return depth == 0


@given(ASCII)
def test_every_text_is_set_as_it_stands(text):
    shown = escape(text)
    assert typeset(shown) == text and balanced(shown)


def test_what_follows_the_end_of_a_row_is_no_option_of_it():
    assert escape("[1] *").startswith("{[}") and "*" not in escape("*")


def test_numbers_and_greek_letters_become_mathematics():
    assert escape(number(4.5e-7)) == r"4.5$\times 10^{-7}$"
    assert escape("∞") == r"$\infty$" and escape("−3") == "$-$3" and escape("≥ 2") == r"$\geq$ 2"
    assert escape("β1 Δ Ω λ") == r"$\beta$1 $\Delta$ $\Omega$ $\lambda$"
    assert escape("ο") == "ο" and escape("é") == "é" and escape("a\nb") == "a b"
    assert set(CAPITALS) < set(GREEK)


def entries(row: str) -> list[str]:
    """The entries of a row, one that spans several counted as so many."""
    found = []
    for entry in re.split(r"(?<!\\)&", row.removesuffix(r"\\")):
        wide = re.search(r"\\multicolumn\{(\d+)\}", entry)
        found += [entry.strip()] * (int(wide[1]) if wide else 1)
    return found


def body(text: str) -> list[str]:
    """The rows with answers."""
    return [line for line in text.splitlines() if line.endswith(r"\\") and " & " in line and "Problem &" not in line]


def test_the_tables_are_whole_and_bold_says_who_leads(make, tmp_path):
    optimizers = [make.optimizer("gd"), make.optimizer("momentum", 0.5), make.optimizer("sluggish", 0.99)]
    cells = [
        make.cell(f"{p['label']}-{o['name']}", problem=p, optimizer=o)
        for p in (make.problem(), make.problem(label=HOSTILE)) for o in optimizers
    ]  # fmt: skip
    results = make.results(cells, path=tmp_path)
    results.suite["suite"]["name"] = "one\n\\input{two}"
    study = read(results)
    text = latex(results, study)
    assert balanced(text) and text.splitlines()[0].startswith("% ") and r"\input{two}" in text.splitlines()[0]
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1
    assert text.count(r"\toprule") == 2 and text.count(r"\bottomrule") == 1 and r"\hline" not in text
    rows = body(text)
    lines = [line for group in answer_groups(results, study) for block in group.blocks for line in block.lines]
    assert len(rows) == len(lines) == 12 and all(len(entries(row)) == 9 for row in rows)
    for row, line in zip(rows, lines, strict=True):
        assert (r"\textbf" in row) is line.leads
        assert escape(line.interval) in row and escape(line.cost_interval) in row
    assert any(line.leads for line in lines) and not all(line.leads for line in lines)
    assert typeset(entries(rows[6])[0]) == HOSTILE
    assert [entries(row)[0] != "" for row in rows] == [True, *[False] * 5] * 2


def test_what_was_not_judged_says_why(make, tmp_path):
    cells = [
        make.cell("c0", starts=1),
        make.cell("c1", optimizer=make.optimizer("adam_w"), failed="out_of_memory: 50% & more"),
    ]
    results = make.results(cells, path=tmp_path)
    text = latex(results, read(results))
    rows = body(text)
    assert len(rows) == 2 and all(len(entries(row)) == 9 for row in rows)
    assert "not evaluated on held-out starts" in text
    assert r"out\_of\_memory: 50\% \& more" in text and r"\textbf" not in "".join(rows)


def test_a_run_without_cells(make, tmp_path):
    results = make.results([], path=tmp_path)
    text = latex(results, read(results))
    assert all(not line or line.startswith("%") for line in text.splitlines())
