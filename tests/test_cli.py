from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import gdbench
from gdbench import cli as command_line
from gdbench.catalogue import gather
from gdbench.contracts import Optimizer, ProblemFamily

ROOT = Path(__file__).parent.parent
SMALL = """
[suite]
name = "small"

[[experiment]]
name = "first"
problems = ["parabola"]
optimizers = ["gd", "momentum"]
steps = 40
learning_rate = [0.1, 1.1]

[[experiment]]
name = "second"
problems = ["shifted_parabola"]
optimizers = ["adam"]
steps = 40
learning_rate = [0.1]
"""
ESCAPE = "\x1b"


@dataclass
class Said:
    code: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document on stdout."""
        found = json.loads(self.out)
        assert self.out.count("\n") >= 1
        return found


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a small suite."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "small.toml").write_text(SMALL)
    return tmp_path


@pytest.fixture
def cli(place, monkeypatch, capsys):
    """Run the command line in this process."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["gdbench", *arguments])
        with pytest.raises(SystemExit) as stopped:
            command_line.main()
        told = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return Said(stopped.value.code, told.out, told.err)

    return call


def process(place: Path, *arguments: str, code: str | None = None, **environment: str) -> Said:
    """Run the command line (or a program) in a process of its own."""
    head = [sys.executable, "-W", "error::DeprecationWarning:gdbench"]
    command = [*head, "-c", code, *arguments] if code else [*head, "-m", "gdbench.cli", *arguments]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PYTHONPATH": paths, **environment}
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120, env=env)
    return Said(done.returncode, done.stdout, done.stderr)


# list, show


@pytest.mark.parametrize("kind", ["problems", "optimizers", "schedules", "measures", "figures", "suites"])
def test_list(cli, kind):
    plain, listed = cli("list", kind), cli("list", kind, "--json")
    assert plain.code == listed.code == 0 and plain.err == listed.err == ""
    assert len(listed.document) > 0
    for row in listed.document:
        assert str(row["name"]) in plain.out
    assert len(plain.out.splitlines()) == len(listed.document) + 2


def test_the_lists_are_the_catalogues(cli):
    for kind, package, of in (
        ("problems", "gdbench.problems", ProblemFamily),
        ("optimizers", "gdbench.optimizers", Optimizer),
    ):
        assert sorted(row["name"] for row in cli("list", kind, "--json").document) == list(gather(package, of))


def test_list_of_an_unknown_kind(cli):
    said = cli("list", "problem")
    assert said.code == 2 and "problems" in said.err and said.out == ""


@pytest.mark.parametrize("name", ["himmelblau", "rosenbrock"])
def test_show_of_a_problem(cli, name):
    plain, facts = cli("show", name), cli("show", name, "--json")
    assert plain.code == facts.code == 0 and plain.err == facts.err == ""
    assert facts.document["kind"] == "problem" and facts.document["dim"] == 2
    assert facts.document["formula"] in plain.out and facts.document["source"] in plain.out
    assert facts.document["scale"] > 0 and "median of f - f* over 1,024 uniform points" in plain.out
    assert facts.document["tolerance"] == {"float32": 1e-5, "float64": 1e-8}


def test_show_draws_a_problem(cli, place):
    said = cli("show", "himmelblau", "--picture", "himmelblau.png")
    assert said.code == 0 and (place / "himmelblau.png").read_bytes().startswith(b"\x89PNG")
    assert "himmelblau.png" in said.out


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["show", "rosenbrock", "dim=3", "--picture", "x.png"], "rosenbrock(dim=3) has 3: say dim=2"),
        (["show", "himmelblau", "--picture", "x.gif"], "x.gif: a picture is one of .png, .svg, .pdf"),
        (["show", "himmelblau", "--picture", "none/x.png"], "none/x.png: cannot be written"),
        (["show", "adam", "--picture", "x.png"], "only problems have a picture, and 'adam' is of the kind optimizer"),
        (["list", "optimizers", "--convex"], "filters such as --convex select problems only"),
        (["list", "figures", "--known-minimum"], "filters such as --known-minimum select problems only"),
        (["list", "figures", "--family", "x"], "filters such as --family select problems and optimizers only"),
        (["list", "problems", "--needs", "minimum"], "filters such as --needs select optimizers only"),
        (["list", "optimizers", "--needs", "sleep"], "unknown need 'sleep'"),
        (["list", "problems", "--family", "himelblau"], "unknown family 'himelblau': did you mean 'himmelblau'?"),
        (["list", "problems", "--dim", "0"], "--dim"),
    ],
)  # fmt: skip
def test_pictures_and_filters_that_cannot_be(cli, place, arguments, told):
    said = cli(*arguments)
    assert said.code == 2 and told in said.err and len(said.err.splitlines()) == 1 and said.out == ""
    assert not (place / "x.png").exists()


def test_filters_are_combined(cli):
    def names(*filters: str) -> set[str]:
        return {row["name"] for row in cli("list", "problems", *filters, "--json").document}

    planar, known = names("--dim", "2"), names("--known-minimum")
    assert {"rosenbrock", "himmelblau"} <= planar & known and "parabola" not in planar
    assert names("--dim", "2", "--known-minimum") == planar & known
    assert names("--family", "himmelblau", "--dim", "2") == {"himmelblau"}
    assert names("--stochastic") | names("--deterministic") == names()
    said = cli("list", "problems", "--family", "himmelblau", "--stochastic")
    assert said.code == 5 and "no problem has stochastic = True and family = himmelblau" in said.err
    chosen = cli("list", "optimizers", "--family", "derivative-free", "--needs", "nothing", "--json").document
    assert {"trial_and_error"} <= {row["name"] for row in chosen} and all(row["needs"] == [] for row in chosen)
    assert cli("list", "optimizers", "--family", "derivative-free", "--needs", "residuals").code == 5


def test_show_of_the_other_catalogues(cli):
    assert cli("show", "adam", "--json").document["hyperparameters"]["b1"] == 0.9
    assert cli("show", "gd").code == 0 and "x ← x − α g" in cli("show", "gd").out
    assert "traced; Kingma and Ba (2015)" in cli("show", "adam").out and "1 g" in cli("show", "adam").out
    assert cli("show", "cosine", "--json").document["kind"] == "schedule"
    assert cli("show", "schedule/linear", "--json").document["kind"] == "schedule"
    assert cli("show", "small", "--json").document["file"] == "suites/small.toml"
    for kind in ("measures", "figures"):
        name = cli("list", kind, "--json").document[0]["name"]
        assert cli("show", name, "--json").document["kind"] == kind.removesuffix("s")


def test_show_takes_the_settings_of_a_problem(cli):
    assert cli("show", "rosenbrock", "dim=10", "--json").document["dim"] == 10
    assert cli("show", "quadratic", "condition=50", "--json").document["curvature"] == [1, 50]


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["rosenbrok"], "did you mean 'rosenbrock'"),
        (["rosenbrock", "dimm=3"], "did you mean 'dim'"),
        (["rosenbrock", "dim"], "name=value"),
        (["rosenbrock", "dim=many"], "dim"),
        (["quadratic", "condition=high"], "high"),
        (["quadratic", "condition=[1, 2]"], "condition"),
        (["adam", "b1=3"], "only problems take settings"),
    ],
)
def test_show_of_what_is_not_there(cli, arguments, told):
    said = cli("show", *arguments)
    assert said.code == 2 and told in said.err and said.err.startswith("gdbench: error: ")
    failed = cli("show", *arguments, "--json")
    assert failed.code == 2 and told in failed.document["error"] and failed.document["exit_code"] == 2


# validate, schema


def test_validate(cli):
    said = cli("validate", "suites/small.toml", "small")
    assert said.code == 0 and said.out.count("3 cells, 5 descents") == 2 and said.err == ""
    assert cli("validate", "small", "--json").document == {
        "ok": True, "suites": [{"suite": "suites/small.toml", "cells": 3, "descents": 5}],
    }  # fmt: skip


def test_validate_names_every_fault_of_every_file(cli, place):
    (place / "bad.toml").write_text(SMALL.replace('"adam"', '"adma"').replace("parabola", "parabolla"))
    (place / "worse.toml").write_text("[suite\n")
    said = cli("validate", "bad.toml", "small", "worse.toml", "none.toml")
    assert said.code == 2 and said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 5 and all(line.startswith("gdbench: error: ") for line in lines), lines
    for part in ("adma", "parabolla", "worse.toml: not TOML", "none.toml: no such file"):
        assert part in said.err
    failed = cli("validate", "bad.toml", "--json")
    assert failed.code == 2 and "adma" in failed.document["error"]


def test_schema(cli):
    said = cli("schema")
    assert said.code == 0 and {"suite", "experiment"} <= set(said.document["properties"])


# run, status, report


@pytest.fixture
def fast_report(monkeypatch):
    """A report that costs nothing, for tests of the commands around it."""
    import gdbench.report

    def write(results, folder=None, formats=()):
        page = Path(folder or results.path) / "report.html"
        page.write_text("report")
        return page

    monkeypatch.setattr(gdbench.report, "write_report", write)


def test_run_status_report(cli, place, fast_report):
    said = cli("run", "small")
    assert said.code == 0 and "parabola" in said.out and "diverged" in said.out
    assert "results/small/" in said.out and "report.html" in said.out
    assert "5 descents to run" in said.err and "Traceback" not in said.err
    status = cli("status", "small")
    assert status.code == 0 and "3 of 3 cells done" in status.out
    page = cli("report", "small", "--json").document["report"]
    assert Path(page).is_file()
    again = cli("run", "suites/small.toml", "--json")
    assert again.code == 0 and again.document["descents"] == 5 and again.document["failures"] == []
    assert [c["stored"] for c in again.document["cells"]] == [2, 2, 1]
    assert "to run" not in again.err
    assert cli("status", str(again.document["run"]), "--json").document["done"] == 3


UNFIT = """
[suite]
name = "unfit"

[[experiment]]
problems = ["rastrigin"]
optimizers = ["gauss_newton", "gd"]
steps = 40
learning_rate = [0.001]
"""


@pytest.mark.slow
def test_what_an_optimizer_is_not_made_for_is_left_out_and_told(cli, place):
    (place / "suites" / "unfit.toml").write_text(UNFIT)
    said = cli("run", "unfit", "--json")
    assert said.code == 0 and all(failure["refused"] for failure in said.document["failures"])
    left, ran = said.document["cells"]
    why = "gauss_newton needs a sum of squares whose residuals are known: rastrigin does not serve it"
    assert (left["refused"], left["failed"], left["stored"]) == (True, why, 0)
    assert (ran["refused"], ran["failed"], ran["stored"]) == (False, None, 1)
    assert "failed" not in said.err
    status = cli("status", "unfit")
    assert status.code == 0 and f"left out: {why}" in status.out and "2 of 2 cells done" in status.out
    assert why in Path(said.document["report"]).read_text()
    # It is not tried again as what failed would be.
    again = cli("run", "unfit", "--json", "--no-report")
    assert again.code == 0 and again.document["run"] == said.document["run"]


@pytest.mark.slow
def test_run_writes_its_report(cli, place):
    said = cli("run", "small", "--json")
    assert said.code == 0 and Path(said.document["report"]).stat().st_size > 1000


def test_status_takes_the_suite_as_run_does(cli, place):
    assert cli("run", "small", "--no-report").code == 0
    assert cli("status", "small").code == 0
    assert cli("status", "suites/small.toml").code == 0


def test_a_suite_whose_name_has_a_point(cli, place):
    (place / "suites" / "dotted.toml").write_text(SMALL.replace('"small"', '"v1.2"'))
    assert cli("run", "suites/dotted.toml", "--no-report").code == 0
    assert cli("status", "v1.2").code == 0


def test_run_without_a_report(cli, place):
    said = cli("run", "small", "--no-report", "--json", "--optimizers", "adam", "--results", "elsewhere")
    assert said.document["report"] is None and said.document["run"].startswith("elsewhere/small/")
    assert not (place / "results").exists() and not list(place.rglob("*.html"))


def test_a_dry_run_runs_nothing(cli, place):
    said = cli("run", "small", "--dry-run")
    assert said.code == 0 and "3 cells, 5 descents" in said.out and "into results/small/" in said.out
    told = cli("run", "small", "--dry-run", "--json").document
    assert told["cells"] == 3 and told["descents"] == 5 and len(told["plan"]) == 3
    assert not (place / "results").exists()


def test_a_selection(cli):
    kept = cli("run", "small", "--no-report", "--json", "--problems", "parabola", "--optimizers", "gd").document[
        "cells"
    ]
    assert [(c["problem"], c["optimizer"]) for c in kept] == [("parabola", "gd")]


def test_a_selection_that_leaves_nothing(cli):
    selection = ["run", "small", "--problems", "parabola", "--optimizers", "adam"]
    said = cli(*selection)
    assert said.code == 5 and "nothing is left to run" in said.err and said.out == ""
    failed = cli(*selection, "--json")
    assert failed.code == 5 and failed.document["exit_code"] == 5


def test_a_misspelt_selection(cli):
    said = cli("run", "small", "--optimizers", "adma", "--json")
    assert said.code == 2 and "did you mean 'adam'" in said.document["error"]


def test_a_cell_that_fails_is_exit_code_1(cli, place, monkeypatch):
    (place / "failing_rule.py").write_text(
        "def rule(learning_rate):\n"
        "    import optax\n"
        "    def update(updates, state, params=None):\n"
        "        raise RuntimeError('no luck')\n"
        "    return optax.GradientTransformation(lambda p: (), update)\n"
    )
    monkeypatch.syspath_prepend(place)
    monkeypatch.delitem(sys.modules, "failing_rule", raising=False)
    arguments = ["run", "small", "--no-report", "--add", "failing_rule:rule"]
    refused = cli(*arguments)
    assert refused.code == 2 and "--allow-code" in refused.err
    said = cli(*arguments, "--allow-code")
    assert said.code == 1 and "first / parabola / rule failed: " in said.err and "no luck" in said.err
    failed = cli(*arguments, "--allow-code", "--json")
    assert failed.code == 1 and len(failed.document["failures"]) == 2
    assert [c["stored"] for c in failed.document["cells"] if not c["failed"]] == [2, 2, 1]
    status = cli("status", "small")
    assert status.code == 1 and "failed: " in status.out


def test_a_run_in_which_every_cell_times_out_still_reports(cli):
    said = cli("run", "small", "--timeout", "0", "--json")
    assert said.code == 1 and len(said.document["failures"]) == 3, said.err
    assert "timed out" in said.document["failures"][0]["error"]


def test_run_of_a_file_that_is_not_there(cli):
    said = cli("run", "smal")
    assert said.code == 2 and "did you mean suites/small.toml" in said.err


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_run_that_is_not_there(cli, command):
    said = cli(command, "small")
    assert said.code == 2 and "no run there" in said.err
    failed = cli(command, "small", "--json")
    assert failed.code == 2 and "no run there" in failed.document["error"]


def test_compare_says_what_it_cannot_do_in_a_line(cli, place):
    for arguments, code, why in (
        (["small"], 2, "no run there"), (["nothing", "small"], 2, "no run there"), ([], 2, "RUNS"),
    ):  # fmt: skip
        said = cli("compare", *arguments)
        assert said.code == code and why.lower() in said.err.lower() and said.err.count("\n") == 1, said.err


@pytest.mark.slow
def test_compare_export_and_the_formats_of_a_report(cli, place):
    run = cli("run", "small", "--no-report", "--json").document["run"]
    assert cli("compare", run).code == 2
    said = cli("compare", run, run, "--json", "--out", "compared")
    assert said.code == 0 and said.document["differences"] == []
    assert {row["note"] for row in said.document["rows"]} == {"not evaluated on held-out starts"}
    assert "What differs" in Path(said.document["page"]).read_text()
    said = cli("compare", run, run, "--fail-on", "cost>1.1")
    assert said.code == 5 and "nothing to test cost>1.1" in said.err
    assert cli("compare", run, run, "--fail-on", "price>1").code == 2
    assert cli("report", run, "--format", "csv", "--format", "latex", "--out", "told").out == "told/answers.csv\n"
    assert sorted(path.name for path in (place / "told").iterdir()) == ["answers.csv", "answers.tex"]
    assert cli("export", run, "--out", "coco").code == 5
    assert "--gradient is a number" in cli("export", run, "--out", "coco", "--gradient", "dim").err


def test_doctor(cli):
    told = cli("doctor", "--json").document
    assert told["first_sweep"] == "good" and told["gdbench"] == gdbench.__version__ and told["platform"] == "cpu"
    assert "first_sweep" in cli("doctor").out


# Usage, faults, output


@pytest.mark.parametrize(
    "arguments",
    [
        ["runn"],
        ["run"],
        ["run", "small", "--stepz", "3"],
        ["run", "small", "--devices", "0"],
        ["run", "small", "--tile", "x"],
    ],
)
def test_usage_errors(cli, arguments):
    said = cli(*arguments)
    assert said.code == 2 and said.err.startswith("gdbench: error: ") and said.out == ""
    assert len(said.err.splitlines()) == 1
    failed = cli(*arguments, "--json")
    assert failed.code == 2 and failed.document["exit_code"] == 2


def test_no_command_shows_the_help(cli):
    said = cli()
    assert "Usage" in said.out + said.err
    assert len((said.out + said.err).splitlines()) > 5, "the help is squeezed into one line"


def test_version(cli):
    said = cli("--version")
    assert said.code == 0 and said.out == f"gdbench {gdbench.__version__}\n"


def test_a_fault_of_gdbench_itself_is_exit_code_3(cli, monkeypatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("gdbench.suite.read_suite", broken)
    said = cli("run", "small")
    assert said.code == 3 and "internal error: ZeroDivisionError: by zero" in said.err and "Traceback" in said.err
    failed = cli("run", "small", "--json")
    assert failed.code == 3 and "by zero" in failed.document["error"]


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupt_is_exit_code_130_with_the_command_that_resumes(cli, monkeypatch, as_json):
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("gdbench.suite.read_suite", interrupted)
    arguments = ["run", "small", "--problems", "quadratic(dim=3)", *(["--json"] if as_json else [])]
    said = cli(*arguments)
    assert said.code == 130 and "interrupted" in said.err
    # A shell must be able to read the command as it was.
    import shlex

    again = said.err.strip().splitlines()[-1].split("go on with: ")[1]
    assert shlex.split(again) == ["gdbench", *arguments]
    if as_json:
        assert said.document["exit_code"] == 130


def test_a_full_disk_is_one_line_and_exit_code_2(cli, monkeypatch):
    import errno

    def no_room(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    said = cli("run", "small")
    assert said.code == 2 and "no room left" in said.err.splitlines()[-1] and "Traceback" not in said.err


def test_another_writer_is_one_line(cli):
    from gdbench.store import RunFolder

    run = cli("run", "small", "--no-report", "--json").document["run"]
    with RunFolder(Path(run)):
        said = cli("run", "small", "--no-report")
        assert said.code == 2 and "another process is writing this run" in said.err and "Traceback" not in said.err


# In processes of their own


LIGHT = [
    ["--help"], ["run", "--help"], ["--version"], ["list", "problems"], ["list", "problems", "--dim", "2", "--convex"],
    ["list", "optimizers"], ["list", "figures"], ["list", "measures"], ["list", "schedules"], ["show", "optax/adam"],
    ["validate", "small"], ["schema"],
]  # fmt: skip
WATCH = """
import sys
from gdbench import cli
sys.argv[0] = "gdbench"
try:
    cli.main()
finally:
    known = {"jax", "jaxlib", "optax", "optimistix", "equinox", "cma"}
    # The methods of scipy are listed without it; problems and figures use it for other things.
    known |= {"scipy"} if sys.argv[1:] == ["list", "optimizers"] else set()
    heavy = sorted({name.split(".")[0] for name in sys.modules} & known)
    print("heavy:", heavy, file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_commands_import_no_jax(place, arguments):
    said = process(place, *arguments, code=WATCH)
    assert said.code == 0, said.err
    assert said.err.strip().endswith("heavy: []"), said.err


@pytest.mark.slow
def test_reading_a_run_imports_no_jax(cli, place):
    assert cli("run", "small", "--no-report").code == 0
    for arguments in (["status", "small"], ["report", "small"], ["compare", "small", "small", "--out", "compared"]):
        said = process(place, *arguments, code=WATCH)
        assert said.code == 0 and said.err.strip().endswith("heavy: []"), (arguments, said.err)


def test_what_is_no_terminal_gets_no_escape_codes(place):
    for arguments in (["--help"], ["list", "optimizers"], ["validate", "nothing"]):
        said = process(place, *arguments)
        assert ESCAPE not in said.out + said.err, arguments


def _read(terminal: int) -> bytes:
    """What a terminal has to say; empty once nobody writes to it any more."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_no_color_is_heeded_on_a_terminal(place):
    import pty

    def on_terminal(**environment: str) -> str:
        master, terminal = pty.openpty()
        env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "CI")}
        env |= {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment}
        command = [sys.executable, "-m", "gdbench.cli", "list", "nothing"]
        text = b""
        with subprocess.Popen(command, cwd=place, stdout=terminal, stderr=terminal, stdin=terminal, env=env):
            os.close(terminal)
            while part := _read(master):
                text += part
        os.close(master)
        return text.decode()

    said = on_terminal(NO_COLOR="1")
    assert "problems" in said and f"{ESCAPE}[3" not in said and f"{ESCAPE}[1m" not in said


def test_the_reader_of_the_output_may_go_away(place):
    command = [sys.executable, "-m", "gdbench.cli", "list", "optimizers", "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        told = child.stderr.read()
    assert child.returncode == 0 and told == ""


@pytest.mark.slow
def test_the_whole_way_in_processes_of_their_own(place):
    said = process(place, "run", "small", "--no-report", "--json")
    assert said.code == 0 and said.document["descents"] == 5, said.err
    assert ESCAPE not in said.out + said.err
    assert process(place, "status", "small").code == 0
    assert process(place, "validate", "nothing").code == 2
    assert process(place, "run", "small", "--problems", "parabola", "--optimizers", "adam").code == 5
