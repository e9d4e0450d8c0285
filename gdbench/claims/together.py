"""Does a claim that rests on others hold?"""

from __future__ import annotations

from gdbench.claims.base import OPEN, SHOWN, Asked, Evidence, Rule, Setting


def _weigh(asked: Asked) -> list[Evidence]:
    found = []
    for name in asked.settings["claims"]:
        verdict = asked.before.get(name, OPEN)
        shown = verdict == SHOWN
        found.append(Evidence(name, f"{name}: {verdict}", float(shown), holds=None if verdict == OPEN else shown))
    return found


RULE = Rule(
    name="together",
    number="whether a claim that it rests on is shown (1) or not (0)",
    decides="Every claim that it rests on, stated before it, is shown without a condition.",
    weigh=_weigh,
    settings={"claims": Setting((list,), "names of the claims that it rests on")},
)
