"""An independent evaluator of NVD configurations, on the record's own JSON, by enumerating assignments.

It shares nothing with the evaluator that it checks: an unknown operand is tried as true and as false, and what all
trials agree on is the answer.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

Assignment = Callable[[dict[str, Any]], bool | None]
"""What is known of an entry of `cpeMatch`: true, false, or None for unknown."""


def value(configuration: dict[str, Any], known: Assignment) -> bool | None:
    """True, false, or None when the unknown operands decide."""
    outcomes = {_configuration(configuration, trial) for trial in _trials(configuration, known)}
    return outcomes.pop() if len(outcomes) == 1 else None


def decides(configuration: dict[str, Any], known: Assignment, wanted: dict[str, Any]) -> bool | None:
    """Whether an entry that holds is a reason for the configuration: true, false, or None when unknown.

    It is one under an assignment when the configuration is true with every alternative to it taken away: in each OR
    above it, only the branch that holds it counts.
    """
    pruned = _only(configuration, wanted)
    outcomes = {_configuration(pruned, trial) for trial in _trials(configuration, known)}
    return outcomes.pop() if len(outcomes) == 1 else None


def entries(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Every entry of `cpeMatch` under a configuration or node."""
    found = list(part.get("cpeMatch", []))
    for child in (*part.get("nodes", []), *part.get("children", [])):
        found += entries(child)
    return found


def _key(entry: dict[str, Any]) -> tuple[Any, ...]:
    return (entry["criteria"], entry.get("versionEndExcluding"), entry["vulnerable"])


def _trials(configuration: dict[str, Any], known: Assignment) -> list[dict[tuple[Any, ...], bool]]:
    states = {_key(entry): known(entry) for entry in entries(configuration)}
    unknown = [key for key, state in states.items() if state is None]
    return [
        {**{key: bool(state) for key, state in states.items()}, **dict(zip(unknown, values, strict=True))}
        for values in product((False, True), repeat=len(unknown))
    ]


def _configuration(part: dict[str, Any], trial: dict[tuple[Any, ...], bool]) -> bool:
    result = _evaluate(part, trial)
    return False if result is None else result


def _evaluate(part: dict[str, Any], trial: dict[tuple[Any, ...], bool]) -> bool | None:
    values = [trial[_key(entry)] for entry in part.get("cpeMatch", [])]
    values += [_evaluate(child, trial) for child in (*part.get("nodes", []), *part.get("children", []))]
    values = [each for each in values if each is not None]
    if not values:
        return None
    result = all(values) if part.get("operator") == "AND" else any(values)
    return not result if part.get("negate") else result


def _holds(part: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return any(entry is wanted for entry in entries(part))


def _only(part: dict[str, Any], wanted: dict[str, Any], negated: bool = False) -> dict[str, Any]:
    """The part without the alternatives to an entry: siblings in an OR, or in an AND under a negation."""
    negated = negated != (part.get("negate") is True)
    acts_as_or = (part.get("operator") == "AND") == negated
    pruned = dict(part)
    for field in ("nodes", "children"):
        if field in part:
            kept = (
                part[field] if not acts_as_or else [child for child in part[field] if _holds(child, wanted)]
            )
            pruned[field] = [
                _only(child, wanted, negated) if _holds(child, wanted) else child for child in kept
            ]
    if "cpeMatch" in part and acts_as_or:
        pruned["cpeMatch"] = [entry for entry in part["cpeMatch"] if entry is wanted]
    return pruned
