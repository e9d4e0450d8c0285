from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from gdbench.errors import GdbenchError, NothingSelectedError, SuiteError
from gdbench.forms import json_schema
from gdbench.suite import build_suite, grid_of, read_suite, size_of

ROOT = Path(__file__).parent.parent
SUITES = sorted((ROOT / "suites").glob("*.toml"))
GOOD = """
[suite]
name = "small"

[[experiment]]
name = "first"
problems = ["parabola"]
optimizers = ["gd"]
steps = 10
learning_rate = [0.1, 0.2]
"""


def table(**changes) -> dict:
    """A good suite of one experiment, with other keys where given; None leaves a key out."""
    experiment = {
        "name": "first",
        "problems": ["parabola"],
        "optimizers": ["gd"],
        "steps": 10,
        "learning_rate": [0.1, 0.2],
    }
    header = {"name": "small", **changes.pop("suite", {})}
    merged = {k: v for k, v in (experiment | changes).items() if v is not None}
    return {"suite": header, "experiment": [merged]}


def faults(given, **options) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        build_suite(given, "a.toml", **options)
    lines = caught.value.problems
    assert lines and all(line.startswith("a.toml: ") for line in lines), lines
    return lines


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_the_suites_that_come_along_are_good(path):
    cells, descents = size_of(read_suite(path))
    assert cells > 0 and descents > 0


def test_there_is_a_suite_that_comes_along():
    assert "quickstart" in {path.stem for path in SUITES}


def test_a_good_suite(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(GOOD)
    suite = read_suite(path)
    assert suite.header.name == "small" and suite.dtypes == ["float32"]
    assert size_of(suite) == (1, 2)
    assert json.loads(json.dumps(suite.resolved)) == suite.resolved


# One fault each: (what is changed, what the message names)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"problems": ["rosenbrok"]}, ["first", "problems[1]", "rosenbrok", "did you mean 'rosenbrock'"]),
        ({"optimizers": ["gd", "adma"]}, ["first", "optimizers[2]", "adma", "did you mean 'adam'"]),
        ({"optimizers": ["lion"]}, ["optimizers[1]", "did you mean 'optax/lion'"]),
        ({"optimizers": ["optax/lbfg"]}, ["optimizers[1]", "did you mean 'optax/lbfgs'"]),
        ({"optimisers": ["gd"]}, ["experiment[1].optimisers", "unknown key", "did you mean 'optimizers'"]),
        ({"suite": {"sead": 3}}, ["suite.sead", "unknown key", "did you mean 'seed'"]),
        ({"outcomes": {"tolerence": 1e-3}}, ["outcomes.tolerence", "did you mean 'tolerance'"]),
        ({"outcomes": {"tolerance": 0}}, ["outcomes.tolerance", "greater than 0"]),
        ({"suite": {"dtype": "float16"}}, ["suite.dtype", "float32", "float64", "float16"]),
        ({"suite": {"dtype": ["float32", "float32"]}}, ["suite.dtype"]),
        ({"suite": {"dtype": []}}, ["suite.dtype"]),
        ({"suite": {"dtype": [["float32"]]}}, ["suite.dtype"]),
        ({"suite": {"name": "../up"}}, ["suite.name", "../up"]),
        ({"suite": {"name": ""}}, ["suite.name"]),
        ({"suite": {"seed": -1}}, ["suite.seed", "-1"]),
        ({"suite": {"seed": 1.5}}, ["suite.seed", "1.5"]),
        ({"suite": {"seed": 2**32}}, ["suite.seed"]),
        ({"steps": -5}, ["experiment[1].steps", "-5"]),
        ({"steps": 0}, ["experiment[1].steps", "0"]),
        ({"steps": 1e3}, ["experiment[1].steps", "1000"]),
        ({"steps": "many"}, ["experiment[1].steps", "many"]),
        ({"steps": True}, ["experiment[1].steps"]),
        ({"steps": None}, ["experiment[1].steps", "required"]),
        ({"problems": []}, ["experiment[1].problems", "at least 1"]),
        ({"problems": "parabola"}, ["experiment[1].problems", "parabola"]),
        ({"problems": [3]}, ["experiment[1].problems[1]", "3"]),
        ({"problems": [{"dim": 3}]}, ["experiment[1].problems[1]", "name"]),
        ({"learning_rate": []}, ["experiment[1].learning_rate", "at least one value"]),
        ({"learning_rate": [0.1, float("nan")]}, ["experiment[1].learning_rate", "finite", "nan"]),
        ({"learning_rate": {"log": [1e-3, 1], "nun": 3}}, ["experiment[1].learning_rate", "num"]),
        ({"learning_rate": None}, ["optimizers[1]", "gd needs a value for 'learning_rate'"]),
        ({"starts": {"kind": "sobbol", "num": 4}}, ["experiment[1].starts", "did you mean 'sobol'"]),
        ({"starts": {"kind": "points", "points": [[1.0, 2.0]]}}, ["first", "starts", "2 coordinates", "dimension 1"]),
        ({"starts": {"kind": "points", "points": [[float("nan")]]}}, ["experiment[1].starts", "finite", "nan"]),
        ({"starts": {"kind": "points", "points": 3}}, ["experiment[1].starts"]),
        ({"starts": "sobol"}, ["experiment[1].starts", "sobol"]),
        ({"seeds": 0}, ["experiment[1].seeds", "0"]),
        ({"targets": []}, ["experiment[1].targets"]),
        ({"trace": -1}, ["experiment[1].trace", "-1"]),
        ({"paths": 1.0}, ["experiment[1].paths", "1.0"]),
        ({"problems": [{"name": "quadratic", "dimm": 3}]}, ["problems[1]", "dimm", "did you mean 'dim'"]),
        ({"problems": [{"name": "quadratic", "dim": 0}]}, ["problems[1]", "dim", "at least 1"]),
        ({"problems": [{"name": "quadratic", "dim": "two"}]}, ["problems[1]", "dim", "two"]),
        ({"problems": [{"name": "quadratic", "dim": [2, 3]}]}, ["problems[1]", "dim"]),
        ({"problems": [{"name": "quadratic", "condition": "ten"}]}, ["problems[1]", "'ten'"]),
        ({"problems": [{"name": "quadratic", "condition": []}]}, ["problems[1]", "at least one value"]),
        ({"problems": [{"name": "quadratic", "instance": []}]}, ["problems[1]", "instance"]),
        ({"problems": [{"name": "quadratic", "instance": [1, 1]}]}, ["problems[1]", "instance"]),
        ({"problems": [{"name": "quadratic", "instance": [[1]]}]}, ["problems[1]", "instance"]),
        ({"problems": ["parabola", "parabola"]}, ["first", "parabola", "twice"]),
        ({"optimizers": ["gd", "gd"]}, ["first", "'gd'", "twice"]),
        ({"optimizers": [{"name": "adam", "beta1": 0.9}]}, ["optimizers[1]", "beta1", "did you mean 'b1'"]),
        ({"optimizers": [{"name": "adam", "b1": "high"}]}, ["optimizers[1]", "'high'"]),
        ({"optimizers": [{"name": "adam", "b1": []}]}, ["optimizers[1]", "at least one value"]),
        ({"problems": ["my_module:thing"]}, ["problems[1]", "my_module:thing", "--allow-code"]),
        ({"optimizers": ["my_module:rule"]}, ["optimizers[1]", "my_module:rule", "--allow-code"]),
        ({"suite": 3}, ["suite", "3"]),
        ({"experiment": 3}, ["experiment"]),
    ],
    ids=lambda value: re.sub(r"[^A-Za-z0-9]+", "-", str(value))[:60] if isinstance(value, dict) else "",
)
def test_one_fault_is_named_with_place_and_rule(change, told):
    given = {**table(), **change} if change in ({"suite": 3}, {"experiment": 3}) else table(**change)
    lines = faults(given)
    assert len(lines) == 1, lines
    assert all(part in lines[0] for part in told), (lines[0], told)
    assert "\n" not in lines[0]


def test_what_only_needs_its_code_allowed_is_told_where_the_module_is_missing():
    line = faults(table(optimizers=["no_such_module:rule"]), allow_code=True)[0]
    assert "no_such_module" in line and "importing" in line


def test_all_faults_of_a_file_are_named_at_once():
    given = table(problems=["rosenbrok", "quadratic"], optimizers=["adma"], steps=-1, seeds=0, startz=3)
    given["suite"]["dtype"] = "float16"
    given["experiment"].append({"name": "second", "problems": ["parabolla"], "optimizers": ["gd"], "steps": "x"})
    text = "\n".join(lines := faults(given))
    for part in ("rosenbrok", "adma", "steps", "seeds", "startz", "float16", "parabolla", "experiment[2].steps"):
        assert part in text, (part, text)
    assert len(lines) == len(set(lines)) == 8, lines


def test_faults_of_meaning_are_named_at_once_too():
    given = table(
        problems=["rosenbrok", {"name": "quadratic", "dimm": 2}], optimizers=["adma", {"name": "adam", "c": 1}]
    )
    given["experiment"].append(table(problems=["parabolla"])["experiment"][0])
    lines = faults(given)
    assert len(lines) == 6, lines
    assert sum("two experiments are called 'first'" in line for line in lines) == 1


def test_two_problems_that_differ_in_a_parameter_can_stand_side_by_side():
    twice = [{"name": "quadratic", "condition": 2}, {"name": "quadratic", "condition": 30}]
    try:
        suite = build_suite(table(problems=twice))
    except SuiteError as error:
        # The advice of the message is taken at its word.
        assert "label" in str(error)
        suite = build_suite(table(problems=[twice[0], {**twice[1], "label": "steep"}]))
    assert len({c.problem.label for c in suite.trials[0].problems}) == 2


def test_labels_tell_optimizers_apart():
    entries = [{"name": "momentum", "momentum": 0.5}, {"name": "momentum", "momentum": 0.9, "label": "heavy"}]
    suite = build_suite(table(optimizers=entries))
    assert [c.label for c in suite.trials[0].optimizers] == ["momentum(momentum=0.5)", "heavy"]


@pytest.mark.parametrize("label", [3, ["a"], "gd"])
def test_a_label_that_is_none_is_refused(label):
    faults(table(optimizers=["gd", {"name": "adam", "label": label}]))


# Files


def test_a_file_that_is_not_there_names_the_nearest(tmp_path):
    (tmp_path / "quickstart.toml").write_text(GOOD)
    with pytest.raises(SuiteError, match=r"no such file, did you mean .*quickstart\.toml") as caught:
        read_suite(tmp_path / "quikstart.toml")
    assert len(caught.value.problems) == 1


def test_a_file_in_no_folder_names_what_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SuiteError, match="no such file$"):
        read_suite("zzz.toml")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "mine.toml").write_text(GOOD)
    with pytest.raises(SuiteError, match=r"suites.mine\.toml"):
        read_suite("nowhere/zzz.toml")


@pytest.mark.parametrize(
    "content, told",
    [
        (b"[suite\nname = 3", "not TOML.*line 1"),
        (b"[suite]\nname = 'a'\nname = 'b'", "not TOML"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"", "suite.*required"),
    ],
)
def test_a_file_that_is_no_suite(tmp_path, content, told):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(SuiteError, match=told) as caught:
        read_suite(path)
    assert all(str(path) in line for line in caught.value.problems)


def test_a_folder_is_no_suite(tmp_path):
    with pytest.raises(SuiteError, match="cannot be read"):
        read_suite(tmp_path)


def test_nan_in_the_toml_itself(tmp_path):
    path = tmp_path / "nan.toml"
    path.write_text(GOOD + "starts = { kind = 'points', points = [[nan]] }\n")
    with pytest.raises(SuiteError, match="coordinate 0 of start 0 must be a finite number, got nan"):
        read_suite(path)


# A user's code


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """A folder on the path with a module of a user's own."""
    (tmp_path / "own_suite_code.py").write_text(
        "import jax.numpy as jnp\n"
        "import numpy as np\n"
        "from gdbench.contracts import Problem, problem_family\n"
        "def rule(learning_rate, decay=0.5):\n"
        "    import optax\n"
        "    return optax.chain(optax.trace(decay), optax.scale(-1.0 * learning_rate))\n"
        "@problem_family(bend=1.0)\n"
        "def valley(dim: int = 2) -> Problem:\n"
        "    'A valley.'\n"
        "    box = (-np.ones(dim), np.ones(dim))\n"
        "    return Problem('valley', lambda x, d, p: p['bend'] * jnp.sum(x**2), dim, box=box)\n"
        "number = 3\n"
        "def broken(**settings):\n"
        "    raise RuntimeError('no luck')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_suite_code", raising=False)
    return "own_suite_code"


def test_a_users_optimizer_and_problem_come_in_by_name(own_code):
    suite = build_suite(table(optimizers=["gd", f"{own_code}:rule"], problems=[f"{own_code}:valley"]), allow_code=True)
    trial = suite.trials[0]
    assert [c.label for c in trial.optimizers] == ["gd", "rule"]
    assert list(trial.optimizers[1].optimizer.hyperparameters) == ["learning_rate", "decay"]
    assert trial.problems[0].problem.dim == 2


def test_the_parameters_of_a_users_problem_may_be_axes(own_code):
    entry = {"name": f"{own_code}:valley", "bend": [1.0, 2.0, 3.0]}
    suite = build_suite(table(problems=[entry]), allow_code=True)
    assert suite.trials[0].problems[0].axes["bend"].values == (1.0, 2.0, 3.0)


def test_a_misspelt_attribute_names_the_nearest(own_code):
    assert "did you mean 'rule'" in faults(table(optimizers=[f"{own_code}:rul"]), allow_code=True)[0]


@pytest.mark.parametrize("what", ["problems", "optimizers"])
def test_an_attribute_that_is_neither_is_a_fault_of_the_suite(own_code, what):
    line = faults(table(**{what: [f"{own_code}:number"]}), allow_code=True)[0]
    assert what in line and "3" in line


def test_a_users_builder_that_fails_is_a_fault_of_the_suite(own_code):
    line = faults(table(problems=[f"{own_code}:broken"]), allow_code=True)[0]
    assert "problems[1]" in line and "no luck" in line


# Selecting and thinning


def test_selecting_keeps_what_was_named():
    given = table(problems=["parabola", "quadratic", "rosenbrock"], optimizers=["gd", "adam"])
    suite = build_suite(given, problems=["quadratic", "parabola"], optimizers=["adam"])
    trial = suite.trials[0]
    assert [c.problem.name for c in trial.problems] == ["parabola", "quadratic"]
    assert [c.label for c in trial.optimizers] == ["adam"]


def test_selecting_what_is_not_there_names_the_nearest():
    lines = faults(table(), problems=["parabolla"], optimizers=["gf"])
    assert len(lines) == 2 and "did you mean 'parabola'" in lines[0] and "did you mean 'gd'" in lines[1]


def test_a_selection_that_leaves_nothing_is_refused():
    given = table(problems=["parabola"], optimizers=["gd"])
    given["experiment"].append(table(name="second", problems=["quadratic"], optimizers=["adam"])["experiment"][0])
    with pytest.raises(NothingSelectedError, match="parabola and adam"):
        build_suite(given, problems=["parabola"], optimizers=["adam"])


def test_adding_an_optimizer_reaches_every_experiment():
    given = table()
    given["experiment"].append(table(name="second")["experiment"][0])
    suite = build_suite(given, add=["adam"])
    assert [[c.label for c in t.optimizers] for t in suite.trials] == [["gd", "adam"]] * 2
    assert "did you mean 'adam'" in faults(given, add=["adma"])[0]


def test_quick_thins_the_grid_and_keeps_its_ends():
    given = table(
        problems=[{"name": "quadratic", "condition": {"log": [1, 1000], "num": 40}}], steps=5000,
        learning_rate={"log": [1e-4, 1], "num": 100}, starts={"kind": "sobol", "num": 64},
    )  # fmt: skip
    full, quick = build_suite(given), build_suite(given, quick=True)
    assert size_of(quick)[1] == 8**3 < size_of(full)[1]
    assert quick.header.name == "small-quick" and quick.trials[0].steps == 200
    rates = [t.optimizers[0].axes["learning_rate"].values for t in (full.trials[0], quick.trials[0])]
    assert set(rates[1]) <= set(rates[0]) and (rates[1][0], rates[1][-1]) == (rates[0][0], rates[0][-1])
    starts = {"kind": "grid", "num": [5, 6]}
    assert build_suite(table(problems=["quadratic"], starts=starts), quick=True).trials[0].starts.num == (3, 3)
    few = build_suite(
        table(problems=["quadratic"], starts={"kind": "points", "points": [[i, i] for i in range(20)]}), quick=True
    )
    assert len(few.trials[0].starts.points) == 8


# Grids of cells


def test_the_axes_of_a_cell_stand_in_their_order():
    given = table(
        problems=[{"name": "quadratic", "condition": [1, 10], "rotation": True, "instance": [0, 1]}],
        optimizers=[{"name": "momentum", "momentum": [0.5, 0.9]}], starts={"kind": "sobol", "num": 4},
    )  # fmt: skip
    trial = build_suite(given).trials[0]
    grid = grid_of(trial, trial.problems[0], trial.optimizers[0])
    assert [(a.name, len(a)) for a in grid.axes] == [
        ("instance", 2), ("learning_rate", 2), ("momentum", 2), ("condition", 2), ("seed", 1), ("start", 4),
    ]  # fmt: skip


def test_seeds_multiply_only_what_is_stochastic():
    suite = build_suite(table(problems=["parabola", "digits_softmax"], starts={"kind": "default"}, seeds=3))
    trial = suite.trials[0]
    sizes = [grid_of(trial, p, trial.optimizers[0]).size for p in trial.problems]
    assert sizes == [2, 6]


# Schema


def accepts(rule: dict, value, defs: dict) -> bool:
    """Whether a value obeys a JSON schema, for the keywords that pydantic writes."""
    if "$ref" in rule:
        return accepts(defs[rule["$ref"].rsplit("/", 1)[-1]], value, defs)
    if "anyOf" in rule and not any(accepts(option, value, defs) for option in rule["anyOf"]):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "const" in rule and value != rule["const"]:
        return False
    return _of_type(rule, value) and _in_range(rule, value) and _inside(rule, value, defs)


def _of_type(rule: dict, value) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    kinds = {
        "object": isinstance(value, dict), "array": isinstance(value, list), "string": isinstance(value, str),
        "number": number, "integer": number and isinstance(value, int), "null": value is None,
        "boolean": isinstance(value, bool),
    }  # fmt: skip
    return "type" not in rule or kinds[rule["type"]]


def _in_range(rule: dict, value) -> bool:
    if isinstance(value, str):
        return "pattern" not in rule or re.search(rule["pattern"], value) is not None
    if isinstance(value, list):
        return rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value))
    if isinstance(value, dict) or value is None:
        return True
    return (
        value >= rule.get("minimum", value) and value <= rule.get("maximum", value)
        and value > rule.get("exclusiveMinimum", value - 1) and value < rule.get("exclusiveMaximum", value + 1)
    )  # fmt: skip


def _inside(rule: dict, value, defs: dict) -> bool:
    if isinstance(value, list):
        return all(accepts(rule.get("items", {}), item, defs) for item in value)
    if not isinstance(value, dict):
        return True
    properties = rule.get("properties", {})
    if rule.get("additionalProperties") is False and set(value) - set(properties):
        return False
    return set(rule.get("required", ())) <= set(value) and all(
        accepts(properties[key], item, defs) for key, item in value.items() if key in properties
    )


def valid(given) -> bool:
    schema = json.loads(json.dumps(json_schema()))
    return accepts(schema, given, schema.get("$defs", {}))


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_the_schema_accepts_the_suites_that_come_along(path):
    import tomllib

    assert valid(tomllib.loads(path.read_text()))


def test_the_schema_refuses_what_the_reader_refuses():
    assert valid(table())
    assert not valid(table(stepz=3))
    assert not valid(table(steps=-1))
    assert not valid(table(steps="many"))
    assert not valid(table(problems=[]))
    assert not valid(table(suite={"dtype": "float16"}))
    assert not valid(table(suite={"name": "../up"}))
    assert not valid(table(learning_rate={"log": [1e-3, 1], "nun": 4}))
    assert not valid(table(starts={"kind": "sobbol", "num": 4}))
    assert not valid({})


def test_the_schema_can_be_checked_by_a_tool_that_knows_schemas():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(table(), json_schema())


def test_every_key_has_its_words_in_the_schema():
    definitions = json_schema()["$defs"]
    assert {"Header", "Experiment", "OutcomeSettings"} <= set(definitions)
    for name in ("Header", "OutcomeSettings"):
        silent = [key for key, rule in definitions[name]["properties"].items() if "description" not in rule]
        assert silent in ([], ["name"]), silent


def test_errors_are_one_family():
    assert issubclass(SuiteError, GdbenchError) and SuiteError(["a", "b"]).exit_code == 2


def primary(**facts):
    experiment = {
        "name": "e", "problems": ["sphere"], "optimizers": ["gd"], "steps": 5, "learning_rate": [0.1], "targets": [1e-3]
    }  # fmt: skip
    return build_suite({"suite": {"name": "p", "primary": facts}, "experiment": [experiment]})


def test_a_primary_question_is_kept_with_the_suite():
    told = primary(measure="cost_to_target", target=1e-3).resolved["suite"]["primary"]
    assert told == {
        "measure": "cost_to_target", "target": 1e-3, "regime": "best per problem", "experiment": ""
    }  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"experiment": "ee"}, "suite.primary: no experiment 'ee': did you mean 'e'?"),
        ({"measure": "cost_to_target"}, "suite.primary: cost_to_target needs a target"),
        (
            {"measure": "cost_to_target", "target": 1e-4},
            "target 0.0001 is not recorded by 'e', which has 0.001",
        ),
        ({"regim": "default"}, "suite.primary.regim: unknown key: did you mean 'regime'?"),
        ({"regime": "best"}, "suite.primary.regime: "),
    ],
)
def test_a_primary_question_that_cannot_be_answered_is_refused(facts, words):
    with pytest.raises(SuiteError, match=re.escape(words)):
        primary(**facts)
