"""Why the questions of conditional requests were answered as they were (RFC 9110, section 13)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from ogrom.http import _questions as questions
from ogrom.http._because import Row, Why, field
from ogrom.http._conditional import ETag, format_http_date, parse_etags, parse_http_date
from ogrom.http._walk import Walk


def _precondition_required(walk: Walk) -> Why:
    required, method = walk.resource.precondition_required, walk.request.method
    over = method in questions.OVERWRITES
    text = f"precondition_required={required}; {method} {'changes' if over else 'does not change'} what is there"
    return Why(required and over, text)


def _precondition_exists(walk: Walk) -> Why:
    rows: list[Row] = []
    for name in ("If-Match", "If-None-Match", "If-Unmodified-Since"):
        value = walk.header(name.lower())
        holds, says = value is not None, "there" if value is not None else "not there"
        if holds and name == "If-Unmodified-Since" and _changed(walk) is None:
            holds, says = False, "there, and nothing to compare it with"
        rows.append(Row(name, value or "", says, holds))
    return Why(any(row.holds for row in rows), "any of the three will do", tuple(rows))


def _star(name: str) -> Callable[[Walk], Why]:
    def explainer(walk: Walk) -> Why:
        value = walk.header(name.lower()) or ""
        return Why(value.strip(" \t") == "*", f"{name}: {value}")

    return explainer


def _etag_matches_for_if_match(walk: Walk) -> Why:
    tags, present = parse_etags(walk.header("if-match") or ""), walk.tag
    if tags == "*" or present is None:
        return Why(False, "what is there has no tag, so none matches")
    shown = f'"{present}"' if isinstance(present, str) else str(present)
    rows: list[Row] = []
    for tag in tags:
        says, same = "another revision", False
        if tag.weak:
            says = "weak: it never equals strongly"
        elif isinstance(present, ETag):
            same = tag.strongly_equals(present)
            says = "the same" if same else "weak is what is there" if present.weak else says
        elif tag.opaque == present:
            says, same = "the same", True
        elif tag.opaque.startswith(f"{present}~"):
            same = walk.prepared.variants.issuperset(tag.opaque[len(present) + 1 :].split("~"))
            says = (
                "another variant of the same revision" if same else "of no variant that is offered"
            )
        rows.append(Row(str(tag), shown, says, same))
    return _list(rows, "strongly (RFC 9110, section 8.8.3.2)")


def _etag_matches_for_if_none_match(walk: Walk) -> Why:
    tags, present = parse_etags(walk.header("if-none-match") or ""), walk.tag
    if tags == "*" or present is None:
        return Why(False, "what is there has no tag, so none matches")
    tag = ETag(present + questions.variant(walk)) if isinstance(present, str) else present
    rows = [
        Row(
            str(each),
            str(tag),
            "the same" if each.opaque == tag.opaque else "another",
            each.opaque == tag.opaque,
        )
        for each in tags
    ]
    return _list(rows, "weakly, with the variant that would be sent (RFC 9110, section 8.8.3.2)")


def _list(rows: list[Row], how: str) -> Why:
    if not rows:
        return Why(False, "the field names no well-formed tag")
    return Why(any(row.holds for row in rows), f"each of the list is compared {how}", tuple(rows))


def _is_date(name: str) -> Callable[[Walk], Why]:
    def explainer(walk: Walk) -> Why:
        value = walk.header(name.lower()) or ""
        date = parse_http_date(value)
        return Why(
            date is not None, f"{value} is {'a date' if date else 'no date: the field is ignored'}"
        )

    return explainer


def _reads_if_modified_since(walk: Walk) -> Why:
    if walk.request.method not in questions.READS:
        return Why(False, f"it is not looked at with {walk.request.method}")
    return field("If-Modified-Since")(walk)


def _changed(walk: Walk) -> datetime | None:
    try:
        return questions.last_modified(walk)
    except Exception:  # noqa: BLE001 - it said so before, when the question was asked
        return None


def _modified_since(walk: Walk) -> Why:
    return _dates(walk, "if-modified-since", newer=True)


def _unmodified_since(walk: Walk) -> Why:
    return _dates(walk, "if-unmodified-since", newer=False)


def _dates(walk: Walk, field: str, *, newer: bool) -> Why:
    value = walk.header(field) or ""
    since, changed = parse_http_date(value), _changed(walk)
    if since is None or changed is None:
        return Why(True, "what is there has no date to compare it with: the field is ignored")
    whole = changed.replace(microsecond=0)
    later = whole > since
    row = Row(
        f"last modified {format_http_date(changed)}", value,
        "newer" if later else "the same" if whole == since else "older", later == newer,
    )  # fmt: skip
    return Why(later == newer, "compared in whole seconds", (row,))


EXPLAINERS: Final[Mapping[str, Callable[[Walk], Why]]] = {
    "precondition_required": _precondition_required,
    "precondition_exists": _precondition_exists,
    "if_match_exists": field("If-Match"),
    "if_match_exists_for_missing": field("If-Match"),
    "if_match_star": _star("If-Match"),
    "etag_matches_for_if_match": _etag_matches_for_if_match,
    "if_unmodified_since_exists": field("If-Unmodified-Since"),
    "if_unmodified_since_valid_date": _is_date("If-Unmodified-Since"),
    "unmodified_since": _unmodified_since,
    "if_none_match_exists": field("If-None-Match"),
    "if_none_match_star": _star("If-None-Match"),
    "etag_matches_for_if_none_match": _etag_matches_for_if_none_match,
    "if_modified_since_exists": _reads_if_modified_since,
    "if_modified_since_valid_date": _is_date("If-Modified-Since"),
    "modified_since": _modified_since,
}
