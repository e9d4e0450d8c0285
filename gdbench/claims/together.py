"""Does a claim that rests on others hold?"""

from __future__ import annotations

from gdbench.claims.base import OPEN, SHOWN, Asked, Evidence, Rule, Setting


def _weigh(asked: Asked) -> list[Evidence]:
    told = [(name, asked.before[name]) for name in asked.settings["claims"] if name in asked.before]
    return [
        Evidence(name, f"{name}: {verdict}", float(verdict == SHOWN), holds=None if verdict == OPEN else verdict == SHOWN)
        for name, verdict in told
    ]


RULE = Rule(
    name="together",
    number="whether a claim that it rests on is shown (1) or not (0)",
    decides="Every claim that it rests on, stated before it, is shown without a condition.",
    weigh=_weigh,
    settings={"claims": Setting((list,), "names of the claims that it rests on")},
)
