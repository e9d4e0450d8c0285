"""The form of a suite file: keys, types and ranges, checked by pydantic; the JSON schema comes from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from gdbench.contracts import RECORDED, REGIMES, Regime
from gdbench.errors import SuiteError, did_you_mean
from gdbench.grid import Starts, Values, as_starts, as_values

MOST_STEPS = 100_000_000
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"

_NUMBERS = {"type": "array", "items": {"type": "number"}}
_PAIR = {**_NUMBERS, "minItems": 2, "maxItems": 2}
_AXIS_SCHEMA = {
    "description": "a number, a list of numbers, { log = [low, high], num = n } or { linear = [low, high], num = n }",
    "anyOf": [{"type": "number"}, {**_NUMBERS, "minItems": 1}]
    + [
        {
            "type": "object",
            "properties": {spacing: _PAIR, "num": {"type": "integer", "minimum": 1}},
            "required": [spacing, "num"],
            "additionalProperties": False,
        }
        for spacing in ("log", "linear")
    ],
}
_ENTRY_SCHEMA = {
    "description": "a name of the catalogue (or package.module:attribute), or a table { name = …, setting = … }; for "
    "problems a list of names, or a pattern such as 'bbob/*', stands for an entry each",
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"name": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}},
            "required": ["name"],
        },
    ],
}
_STARTS_SCHEMA = {
    "type": "object",
    "description": "{ kind = 'sobol' | 'grid' | 'box' | 'ball' | 'points' | 'default', num = n, … }",
    "properties": {
        "kind": {"enum": ["sobol", "grid", "box", "ball", "points", "default"]},
        "num": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "integer"}}]},
        "points": {"type": "array", "items": _NUMBERS},
        "center": _NUMBERS,
        "radius": {"type": "number", "exclusiveMinimum": 0},
    },
    "additionalProperties": False,
}


def _as_value_error(read: Any) -> Any:
    """A reader whose SuiteError becomes what pydantic collects, with the place added."""

    def wrapped(given: Any) -> Any:
        try:
            return read(given)
        except SuiteError as error:
            raise ValueError(str(error)) from None

    return wrapped


def as_entry(given: Any) -> dict[str, Any]:
    """An entry of a list of problems or optimizers as a table with a name."""
    if isinstance(given, str):
        return {"name": given}
    if not isinstance(given, Mapping):
        raise ValueError(f"expected a name or a table with a name, got {given!r}")
    names = given.get("name") if isinstance(given.get("name"), list) else [given.get("name")]
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"expected a table with a name, or a list of names, got {dict(given)!r}")
    return dict(given)


AxisValues = Annotated[Values, BeforeValidator(_as_value_error(as_values)), WithJsonSchema(_AXIS_SCHEMA)]
Entry = Annotated[dict[str, Any], BeforeValidator(as_entry), WithJsonSchema(_ENTRY_SCHEMA)]
StartsTable = Annotated[Starts, BeforeValidator(_as_value_error(as_starts)), WithJsonSchema(_STARTS_SCHEMA)]


def _as_dtypes(given: Any) -> list[str]:
    names = given if isinstance(given, list) else [given]
    if not names or any(name not in ("float32", "float64") for name in names) or len(set(names)) < len(names):
        raise ValueError(f"dtype is 'float32', 'float64' or a list of both, got {given!r}")
    return names


DTypes = Annotated[
    list[Literal["float32", "float64"]],
    BeforeValidator(_as_dtypes),
    WithJsonSchema({"anyOf": [{"enum": ["float32", "float64"]}, {"type": "array", "items": {"type": "string"}}]}),
]


def _as_quick(given: Any) -> Any:
    if given is True or given is False or given == "only":
        return given
    raise ValueError(f"quick is true, false or 'only', got {given!r}")


Quick = Annotated[Any, BeforeValidator(_as_quick), WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": ["only"]}]})]


class Form(BaseModel):
    """A table whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, strict=True)


class OutcomeSettings(Form):
    """Thresholds of the outcomes that replace the problem's own."""

    tolerance: float | None = Field(default=None, gt=0, description="gap that counts as converged")
    scale: float | None = Field(default=None, gt=0, description="S, the scale of f - f*")
    gradient_scale: float | None = Field(default=None, gt=0, description="G, the scale of the gradient norm")


class Primary(Form):
    """The one question that a suite is run for, named before it runs; all else in its report is exploratory."""

    measure: Literal["cost_to_converge", "cost_to_target", "success_rate"] = Field(
        "cost_to_converge", description="what optimizers are compared by, per problem"
    )
    target: float | None = Field(None, gt=0, description="τ of the target, one of the experiment's targets")
    regime: Regime = Field(REGIMES[0], description="what settings are chosen for")
    experiment: str = Field("", description="the experiment it is about; by default the first")


class Header(Form):
    """The table [suite]."""

    name: str = Field(pattern=NAME, description="folder name under results/")
    description: str = Field("", description="one paragraph for the report")
    version: int = Field(1, ge=1, description="raise it when the suite changes: it labels every comparison")
    seed: int = Field(0, ge=0, lt=2**32, description="seeds starts and noise")
    dtype: DTypes = Field(["float32"], validate_default=True, description="precision of the descents")
    primary: Primary | None = Field(None, description="the primary question")
    figures: dict[str, list[str]] = Field(
        {},
        description="the figures that the report draws, each with its experiments (none: all of them); by default all",
    )


def _as_record(given: Any) -> Any:
    if given in ("outcome", "full"):
        return given
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise ValueError(f"record is 'outcome', 'full' or a list of columns, got {given!r}")
    for name in given:
        if name not in RECORDED:
            raise ValueError(f"no recorded column {name!r}: {did_you_mean(str(name), RECORDED)}")
    return tuple(dict.fromkeys(given))


Record = Annotated[
    Any,
    BeforeValidator(_as_record),
    WithJsonSchema(
        {"anyOf": [{"enum": ["outcome", "full"]}, {"type": "array", "items": {"enum": list(RECORDED)}, "minItems": 1}]}
    ),
]


class Experiment(Form):
    """A table [[experiment]]: every problem with every optimizer on one grid."""

    name: str = Field("", description="label in tables and figures")
    problems: list[Entry] = Field(min_length=1)
    optimizers: list[Entry] = Field(min_length=1)
    steps: int = Field(ge=1, le=MOST_STEPS, description="budget of every descent")
    evaluations: float | None = Field(None, gt=0, description="no step is begun once so much is spent: f + g + 2 hvp")
    learning_rate: AxisValues | None = Field(None, description="for every optimizer that has one")
    starts: StartsTable = Field(default_factory=Starts)
    seeds: int = Field(1, ge=1, le=1_000_000, description="noise seeds where problem or optimizer is random")
    targets: AxisValues | None = Field(None, description="τ of the targets f* + τ S whose first hits are recorded")
    trace: int = Field(0, ge=0, le=10_000, description="points of the recorded convergence curve")
    paths: int = Field(0, ge=0, le=100_000, description="descents whose iterates are recorded")
    orbit: int = Field(0, ge=0, le=10_000, description="last iterates that every recorded path keeps, one by one")
    sharpness: bool = Field(False, description="value and largest Hessian eigenvalue at the points of recorded paths")
    directions: int = Field(
        0, ge=0, le=100_000, description="random directions along which each problem's slope is measured"
    )
    clock: bool = Field(False, description="seconds of a value and of a gradient of each problem, many at once")
    quick: Quick = Field(True, description="whether it belongs to a quick run (thinned): true, false, or only to that")
    record: Record = Field(
        "outcome",
        description="what is kept of a descent; full: overshoots and last gradient norms; or only these columns",
    )
    outcomes: OutcomeSettings = Field(default_factory=OutcomeSettings)


class ClaimTest(BaseModel):
    """A test of a claim: a rule of ``gdbench list rules``, the cells that it looks at, and the rule's own settings."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    rule: str = Field(description="what decides")
    experiments: list[str] = Field([], description="look at these experiments alone; by default at all")
    problems: list[str] = Field([], description="look at these problems alone (names or labels)")
    optimizers: list[str] = Field([], description="look at these optimizers alone (names or labels)")


class Claim(Form):
    """A table [[claim]]: something that is said of optimizers, and the tests that show or refute it."""

    name: str = Field(pattern=NAME, description="how the claim is cited")
    says: str = Field(min_length=1, description="the statement, one sentence")
    tests: list[ClaimTest] = Field(min_length=1, description="the claim holds where all of them do")
    figure: str = Field(description="the figure that shows it")
    title: str = Field("", description="heading of its part of the lesson")
    lesson: str = Field("", description="what a newcomer should know; paragraphs are set apart by empty lines")
    play: str = Field("", description="what to change in the experiment, and what to expect then")
    python: str = Field("", description="the experiment in a few lines of Python")
    command: str = Field("", description="the experiment as a command line")
    interactive: Literal["", "tangent", "descent"] = Field(
        "", description="what a reader of the lesson can move: a point with its tangent, or the learning rate"
    )


class SuiteFile(Form):
    """A suite file."""

    suite: Header
    experiment: list[Experiment] = Field(min_length=1)
    claim: list[Claim] = []


FORMS = {
    "suite": Header, "experiment": Experiment, "outcomes": OutcomeSettings, "primary": Primary, "claim": Claim,
}  # fmt: skip


def form_faults(error: ValidationError) -> list[str]:
    """Every fault that pydantic found, a line each: place, rule, and the nearest key or the value received."""
    lines = []
    for fault in error.errors():
        place = "".join(f"[{p + 1}]" if isinstance(p, int) else f".{p}" for p in fault["loc"]).lstrip(".")
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            keys = _keys_at(fault["loc"])
            message = f"unknown key: {did_you_mean(str(fault['loc'][-1]), keys)}"
        elif fault["type"] not in ("missing", "value_error"):
            message += f", got {fault['input']!r}"
        lines.append(f"{place}: {message}")
    return lines


def _keys_at(loc: Sequence[int | str]) -> list[str]:
    form: Any = SuiteFile
    for part in loc[:-1]:
        form = FORMS.get(str(part), form)
    return list(form.model_fields)


def json_schema() -> dict[str, Any]:
    """The JSON schema of a suite file."""
    return SuiteFile.model_json_schema()
