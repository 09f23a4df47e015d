"""What must hold of a run, as functions that yield what does not; and the table of all of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scripts.interop.runs import Job, Ran

STOPPED: Final = 4
_SHOWN_ANSWER: Final = re.compile(r"^\s+\d\. \[", re.MULTILINE)


def whole(job: Job, ran: Ran) -> Iterator[str]:
    """Every row is there once, in order, and ``verify`` says so."""
    if ran.verdict.get("problems") != [] or ran.verdict.get("compared") != 1:
        yield f"verify: {ran.verdict.get('problems') or ran.verdict}"
    if [row["id"] for row in ran.rows] != [row["id"] for row in job.rows]:
        yield f"{len(ran.rows)} rows came out for {len(job.rows)}, or not in order"


def scored(ran: Ran) -> Iterator[str]:
    """Every row has a score."""
    if ran.exit_code or any(row["api_status"] != "success" for row in ran.rows):
        yield f"exit {ran.exit_code}, failures {ran.report.get('failures')}: {ran.report.get('first_reasons')}"


def honest(schema: Mapping[str, Any], ran: Ran) -> Iterator[str]:
    """A score stands in the model's own words and keeps the schema, range included; a row without one says why."""
    validator = jsonschema_rs.validator_for(dict(schema))
    names = list(schema["properties"])
    for row in ran.rows:
        values = {name: row[name] for name in names}
        if row["api_status"] == "success":
            answer = _strictly(row["api_return"])
            if not validator.is_valid(answer) or {name: answer[name] for name in names} != values:
                yield f"row {row['id']}: {values} out of {row['api_return']!r}"
        elif any(value is not None for value in values.values()):
            yield f"row {row['id']} failed and has {values}"
        elif not (row["api_fail_reason"] and row["api_error_type"]):
            yield f"row {row['id']} failed without a reason"


def _strictly(text: str) -> Any:  # noqa: ANN401  a JSON value; None if it is none, or a key stands twice
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except ValueError:
        return None


def stopped(ran: Ran, *, saying: str) -> Iterator[str]:
    """The run stopped early, resumable, said why and what to do; nothing was published."""
    if ran.exit_code != STOPPED:
        yield f"exit {ran.exit_code} instead of {STOPPED}, {ran.report.get('rows')}"
    if not re.search(saying, ran.told) or "\nnext: " not in ran.told:
        yield f"told: {ran.told[-400:]!r}"
    if ran.rows or not ran.verdict.get("problems"):
        yield "something was published"


def answers_shown(ran: Ran) -> int:
    """Return how many raw answers the user was shown when the run stopped."""
    return len(_SHOWN_ANSWER.findall(ran.told))


def ends(ran: Ran) -> str:
    """Say how the rows ended: ``12 success, 3 cut``."""
    kinds = Counter(row["api_error_type"] or row["api_status"] for row in ran.rows)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda pair: -pair[1]))


class Table:
    """What was run, what was seen, and whether it held."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str, str]] = []
        self.held = True

    def add(self, case: str, seen: str, wrong: Iterable[str] = ()) -> None:
        """Note a case; ``wrong`` says what did not hold."""
        found = list(wrong)
        self.held = self.held and not found
        self._lines.append((case, "WRONG" if found else "held", seen))
        self._lines += [("", "", f"! {one}") for one in found[:5]]

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        lines = [("case", "", "seen"), *self._lines]
        wide = max(len(case) for case, _, _ in lines)
        return [f"{case:<{wide}}  {verdict:<5}  {seen}".rstrip() for case, verdict, seen in lines]
