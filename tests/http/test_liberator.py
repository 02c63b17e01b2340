"""The engine answers as the real Liberator does, and by RFC 9110 where Liberator does not.

A case without deviations gets Liberator's status, path and header fields. A case with deviations is
held to what the RFC says of each of its codes (`RFC`), and to Liberator's status and path where its
codes speak of header fields only.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from support.liberator import CASES, MENDED, SERVED, Case, cases, path_of

from ogrom.http import HANDLERS, Response
from ogrom.http.testing import Reply

pytestmark = pytest.mark.skipif(
    not (CASES / "liberator.jsonl.gz").exists(), reason=f"there is no liberator.jsonl.gz in {CASES}"
)


class Rule(NamedTuple):
    """What the RFC says, where, and whether a reply holds to it. None: nothing to be seen here."""

    section: str
    says: str
    holds: Callable[[Case, Reply], bool] | None = None


# what we answer otherwise, beyond the codes that the cases carry

OURS = {
    "E1": "RFC 9457, 3; RFC 9110, 15.5: an error (and the answer to OPTIONS) is written in the client's "
    "media type, though it be decided before negotiation. Liberator writes text/plain there.",
    "E2": "RFC 9110, 8.3: a response without content carries no Content-Type.",
    "E3": "RFC 9110, 9.1 and 9.3.8: TRACE, and methods that nobody defines, are never allowed. "
    "Liberator lets a resource allow them, then answers as to GET.",
    "E4": "RFC 9110, 8.3.1: the parameters of a media type offered are part of it and are sent.",
    "E5": "RFC 9110, 5.6.7 and 13.1.4: a date that cannot be, such as one at 25:00, is ignored.",
    "E6": "RFC 9110, 13.2.1: no precondition stands in the way of a 300, so it is asked before them.",
}
"""Where we differ from Liberator without a code in the case: the section and the reason."""

BEFORE_NEGOTIATION = {
    "handle_service_unavailable", "handle_not_implemented", "handle_uri_too_long", "handle_options",
    "handle_method_not_allowed", "handle_bad_request", "handle_unauthorized", "handle_forbidden",
    "handle_unsupported_media_type", "handle_content_too_large", "handle_not_acceptable",
}  # fmt: skip


# independent readings of the header fields, as plain as can be


def tags(value: str) -> list[tuple[bool, str]]:
    """The entity tags of a list, as (weak, opaque)."""
    found = re.findall(r'(?:^|,)[ \t]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?=,|$)', value)
    return [(bool(weak), opaque) for weak, opaque in found]


def date(value: str | None) -> datetime | None:
    """An HTTP date in any of its three forms; None where it is none."""
    for form in ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"):
        try:
            moment = datetime.strptime(value or "", form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if moment.strftime(form).lower() == (value or "").replace("  ", " 0").lower():
            return moment
    return None


def modified(case: Case) -> int | None:
    """The resource's last modification in whole seconds."""
    given = case.resource.get("last-modified")
    return given["$ms"] // 1000 if isinstance(given, dict) else given


def answer(reply: Reply, name: str) -> bool | None:
    """What was answered to a question; None where it was not asked."""
    return next((step.answer for step in reply.steps if step.name == name), None)


# what holds of a reply


def never(*names: str) -> Callable[[Case, Reply], bool]:
    """None of these questions is asked."""
    return lambda case, reply: not set(names) & set(reply.trace)


def status_is_not(*statuses: int) -> Callable[[Case, Reply], bool]:
    """The status is none of these."""
    return lambda case, reply: reply.status not in statuses


def tags_compared_by_the_list(case: Case, reply: Reply) -> bool:
    """If-Match strongly, If-None-Match weakly, against each member of the list."""
    own = case.resource.get("etag")
    strong = answer(reply, "etag_matches_for_if_match")
    if strong is not None and strong != ((False, own) in tags(case.header("if-match") or "")):
        return False
    weak = answer(reply, "etag_matches_for_if_none_match")
    opaques = [opaque for _, opaque in tags(case.header("if-none-match") or "")]
    return weak is None or weak == (own in opaques)


def dates_compared_in_seconds(case: Case, reply: Reply) -> bool:
    """Valid in three forms only, and compared in whole seconds, where there is one to compare."""
    for question, field, later in (
        ("modified_since", "if-modified-since", True),
        ("unmodified_since", "if-unmodified-since", False),
    ):
        valid = answer(reply, f"if_{question}_valid_date")
        if valid is not None and valid != (date(case.header(field)) is not None):
            return False
        said = answer(reply, question)
        since, changed = date(case.header(field)), modified(case)
        if None in (said, since, changed):
            continue
        if said != ((changed > since.timestamp()) == later):
            return False
    return True


def missing_matches_nothing(case: Case, reply: Reply) -> bool:
    """Any If-Match on what is missing is a 412."""
    asked = answer(reply, "if_match_exists_for_missing")
    return asked is None or asked == (case.header("if-match") is not None) == (reply.status == 412)


def no_validators_on_errors(case: Case, reply: Reply) -> bool:
    """A 4xx or 5xx carries no validator; but a 412 tells what is there instead."""
    return (
        reply.status < 400
        or reply.status == 412
        or not {"etag", "last-modified"} & set(reply.headers)
    )


def no_validators_after_writing(case: Case, reply: Reply) -> bool:
    """A successful PUT, POST, PATCH or DELETE carries no validator of what was there before."""
    unsafe = (
        case.request["method"] in {"PUT", "POST", "PATCH", "DELETE"} and 200 <= reply.status < 300
    )
    # a PATCH that shows the entity may say what it is now (RFC 5789, section 2.1)
    shows = case.request["method"] == "PATCH" and reply.status == 200
    return not unsafe or shows or "etag" not in reply.headers


def varies(field: str, key: str, least: int) -> Callable[[Case, Reply], bool]:
    """Vary names what is offered in several variants, whatever was sent."""

    def holds(case: Case, reply: Reply) -> bool:
        offered = {
            each for each in case.resource.get(key, []) if isinstance(each, str) and each != "*"
        }
        if key == "available-encodings":
            offered &= {"gzip", "br", "zstd"}
        if key == "available-charsets":
            offered = {
                each
                for each in offered
                if each.lower() in {"utf-8", "utf-16", "us-ascii", "iso-8859-1"}
            }
        names = reply.headers.get("vary", "").lower().split(", ")
        return len(offered) < least or field in names

    return holds


def weights(value: str) -> dict[str, float]:
    """A list's members and their q, lower-cased; malformed ones left out."""
    found: dict[str, float] = {}
    for member in value.lower().split(","):
        name, _, rest = member.strip().partition(";")
        weight = re.fullmatch(r"\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", rest) if rest else None
        if re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+", name.strip()) and (weight or not rest):
            found.setdefault(name.strip(), float(weight[1]) if weight else 1.0)
    return found


def media_type_by_weight(case: Case, reply: Reply) -> bool:
    """What is chosen has the highest q by the most specific range; nothing has: 406."""
    if "media_type_available" not in reply.trace:
        return True
    ranges: list[tuple[str, frozenset[str], float]] = []
    for member in re.split(
        r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", (case.header("accept") or "").lower()
    ):
        name, *rest = [part.strip() for part in member.split(";")]
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+", name):
            continue
        q, parameters, sound = 1.0, set[str](), True
        for part in rest:
            if part.startswith("q="):
                sound = sound and re.fullmatch(r"q=(0(\.\d{0,3})?|1(\.0{0,3})?)", part) is not None
                q = float(part[2:]) if sound else 0
            elif part:
                sound = sound and re.fullmatch(r"[^=\s]+=(\"[^\"]*\"|[^\s\"]+)", part) is not None
                parameters.add(part.replace('"', ""))
        parameters.discard(
            "charset=utf-8"
        )  # what everything is written in, so nothing more is asked
        if sound:
            ranges.append((name, frozenset(parameters), q))
    chosen = reply.headers.get("content-type", "").lower().replace(" ", "").partition(";charset")[0]
    offered = [each.partition(";q=")[0] for each in case.resource.get("available-media-types", [])]
    offered = [each for each in dict.fromkeys(offered) if "*" not in each] or ["text/plain"]
    scores = {each.lower(): _score(each.lower(), ranges) for each in offered}
    best = max(scores.values(), default=0) if ranges else 1
    if best == 0:
        return reply.status == 406
    if reply.trace[-1] == "handle_not_acceptable":
        return answer(reply, "media_type_available") is True
    return not ranges or not chosen or reply.status >= 400 or scores[chosen] == best


def _score(offered: str, ranges: list[tuple[str, frozenset[str], float]]) -> float:
    essence, *parameters = offered.split(";")
    matching = [
        ((name != "*/*") + (not name.endswith("/*")), len(wanted), q)
        for name, wanted, q in ranges
        if name in {essence, essence.split("/")[0] + "/*", "*/*"} and wanted <= set(parameters)
    ]
    return max(matching, key=lambda each: each[:2])[2] if matching else 0


def refused_only_outright(question: str, field: str) -> Callable[[Case, Reply], bool]:
    """A mismatch of language, charset or coding is a 406 only where the field says so by q=0."""

    def holds(case: Case, reply: Reply) -> bool:
        refused = answer(reply, question) is False
        return not refused or 0 in weights(case.header(field) or "").values()

    return holds


language = refused_only_outright("language_available", "accept-language")
charset = refused_only_outright("charset_available", "accept-charset")
encoding = refused_only_outright("encoding_available", "accept-encoding")


def language_not_refused(case: Case, reply: Reply) -> bool:
    """A language with q=0 is not served while another is there."""
    chosen = reply.headers.get("content-language", "").lower()
    offered = {
        each.lower()
        for each in case.resource.get("available-languages", [])
        if isinstance(each, str)
    }
    others = {
        each
        for each in offered - {chosen, "*"}
        if weights(case.header("accept-language") or "").get(each, 1)
    }
    return weights(case.header("accept-language") or "").get(chosen, 1) > 0 or not others


def content_type_is_concrete(case: Case, reply: Reply) -> bool:
    """No wildcard and no empty type is ever sent."""
    sent = reply.headers.get("content-type", "a/b")
    return re.match(r"[^*;/\s]+/[^*;/\s]+", sent) is not None


RFC: dict[str, Rule] = {
    "C1": Rule("13.1.3", "If-Modified-Since is ignored where there is no modification date",
               lambda case, reply: modified(case) is not None or answer(reply, "modified_since") in {None, True}),
    "C2": Rule("13.1.3", "If-Modified-Since is ignored unless the method is GET or HEAD",
               lambda case, reply: case.request["method"] in {"GET", "HEAD"} or "modified_since" not in reply.trace),
    "C3": Rule("13.1.3", "If-Modified-Since is ignored where there is an If-None-Match", never("modified_since")),
    "C4": Rule("13.1.4", "If-Unmodified-Since is ignored where there is an If-Match", never("unmodified_since")),
    "C5": Rule("13.1.1, 13.1.2", "lists of tags are compared member by member", tags_compared_by_the_list),
    "C6": Rule("8.8.3.2", "If-None-Match compares weakly", tags_compared_by_the_list),
    "C7": Rule("8.8.3", "what is no entity tag matches nothing", tags_compared_by_the_list),
    "C8": Rule("13.1.1", "If-Match fails where there is no representation", missing_matches_nothing),
    "C9": Rule("5.6.7", "all three date forms are read, and nothing else", dates_compared_in_seconds),
    "C10": Rule("8.8.2", "dates are compared in whole seconds", dates_compared_in_seconds),
    "C11": Rule("13.2.1", "no precondition stands in the way of a 300; a 409 is found in the content, after them",
                lambda case, reply: "multiple_representations" not in reply.trace
                or (reply.status == 300) == bool(case.resource.get("multiple-representations?"))),
    "C12": Rule("13.2.1", "OPTIONS and TRACE have no preconditions",
                never("if_match_exists", "if_none_match_exists", "if_match_exists_for_missing")),
    "C13": Rule("13.1.1", "If-Match is false for whatever is missing, and so a 412", missing_matches_nothing),
    "N1": Rule("12.4.2", "q=0 is not acceptable", media_type_by_weight),
    "N2": Rule("12.5.1", "the most specific range counts; among equals the server's order", media_type_by_weight),
    "N3": Rule("8.3.1", "media types are case-insensitive", media_type_by_weight),
    "N4": Rule("12.5.1", "parameters of a range must match", media_type_by_weight),
    "N5": Rule("12.5.1", "malformed members are ignored", media_type_by_weight),
    "N6": Rule("8.3", "what is offered is a media type, not a range", content_type_is_concrete),
    "N7": Rule("12.5.1", "without media types declared there is still one to send", media_type_by_weight),
    "N8": Rule("12.5.2 to 12.5.4", "* matches whatever is not named", lambda case, reply: (
        language(case, reply) and charset(case, reply) and encoding(case, reply))),
    "N9": Rule("8.4.1, 8.5.1", "tags and codings are case-insensitive", lambda case, reply: (
        language(case, reply) and language_not_refused(case, reply) and encoding(case, reply))),
    "N10": Rule("12.4", "an empty field states no preference", lambda case, reply: (
        language(case, reply) and charset(case, reply) and encoding(case, reply))),
    "N11": Rule("12.4.2", "a member whose q is malformed is ignored", status_is_not(400, 500)),
    "N12": Rule("12.5", "among equals the server's order counts; for languages, the client's", status_is_not(500)),
    "N13": Rule("12.5.2", "Accept-Charset is disregarded rather than answered with 406", charset),
    "N14": Rule("12.5.2", "ISO-8859-1 is nothing special", charset),
    "N15": Rule("12.5.4", "Accept-Language is disregarded rather than answered with 406", language),
    "N16": Rule("12.4.2", "q=0 excludes, by * too", lambda case, reply: (
        language_not_refused(case, reply) and charset(case, reply) and encoding(case, reply))),
    "N17": Rule("8.4", "Content-Encoding is sent only with content so encoded",
                lambda case, reply: "content-encoding" not in reply.headers
                or len(reply.content) > 0 or case.request["method"] == "HEAD"),
    "N18": Rule("8.3", "Content-Type is a type, not a range", content_type_is_concrete),
    "V1": Rule("12.5.5", "Vary names every field that chooses", lambda case, reply: (
        varies("accept-language", "available-languages", 2)(case, reply)
        and varies("accept-encoding", "available-encodings", 1)(case, reply))),
    "V2": Rule("12.5.5, 15.5.7", "a 406 varies as well", lambda case, reply: (
        reply.status != 406 or "vary" in reply.headers or len(case.resource.get("available-media-types", [])) < 2)),
    "R1": Rule("8.8", "validators are of representations, not of errors", no_validators_on_errors),
    "R2": Rule("9.3.4", "no validator with a successful PUT that did not store the content as it was",
               no_validators_after_writing),
    "R3": Rule("9.3.4", "a PUT to what exists is 200 or 204, not 201",
               lambda case, reply: case.request["method"] != "PUT" or answer(reply, "exists") is not True
               or reply.status != 201),
    "R4": Rule("15.3.2", "a 201 without Location says that the request's own URL was created",
               lambda case, reply: "location" not in case.resource or reply.status != 201
               or reply.headers["location"] == case.resource["location"]),
    "R5": Rule("11.6.1", "a 401 carries WWW-Authenticate",
               lambda case, reply: reply.status != 401 or "www-authenticate" in reply.headers),
    "R6": Rule("15.5.16", "a 415 tells what is read (where the resource reads anything)"),
    "R7": Rule("15.4.5", "a 304 carries no Content-Type",
               lambda case, reply: reply.status != 304 or "content-type" not in reply.headers),
    "R8": Rule("RFC 5789, 3.1", "Accept-Patch is not sent empty",
               lambda case, reply: reply.headers.get("accept-patch") != ""),
    "R8b": Rule("10.2.1", "an empty Allow says that no method is allowed"),
    "R9": Rule("9.3.2", "HEAD has no content",
               lambda case, reply: case.request["method"] != "HEAD" or reply.content == b""),
    "R10": Rule("9.3.8", "TRACE is refused",
                lambda case, reply: case.request["method"] != "TRACE" or reply.status >= 400),
    "R11": Rule("15.4", "a redirection has a Location",
                lambda case, reply: reply.status not in {301, 303, 307, 308} or "location" in reply.headers),
    "R12": Rule("15.5.11", "POST to what is gone is 410", status_is_not(500)),
    "R13": Rule("9.3.4", "PUT that may not create is 404", status_is_not(501)),
    "R14": Rule("14.5, 15.5.1", "content header fields that cannot be are 400", status_is_not(501)),
    "R15": Rule("15.4.9", "PUT to another URL is 308, which keeps the method",
                lambda case, reply: answer(reply, "put_to_different_url") is not True or reply.status == 308),
    "R16": Rule("9.3.7", "OPTIONS is answered where it is allowed; 405 with Allow where it is not",
                lambda case, reply: reply.status != 405 or "allow" in reply.headers),
    "R17": Rule("15.3.5", "a 204 has no representation to describe",
                lambda case, reply: reply.status != 204 or "content-type" not in reply.headers),
    "R18": Rule("9.1", "a method that nobody defines is not answered as GET",
                lambda case, reply: case.request["method"] in SERVED or reply.status >= 400),
    "R19": Rule("15.4.1", "no 300 after an action",
                lambda case, reply: case.request["method"] in {"GET", "HEAD"} or reply.status != 300),
}  # fmt: skip
"""What RFC 9110 says of each code, the section, and how a reply shows it."""

HEADER_ONLY = {
    "V1",
    "V2",
    "R1",
    "R2",
    "R4",
    "R5",
    "R6",
    "R7",
    "R8",
    "R8b",
    "R9",
    "R17",
    "N17",
    "N18",
}
"""Codes that concern header fields alone: status and path stay Liberator's."""


def compare(case: Case, reply: Reply, *, fields: bool) -> tuple[str | None, set[str]]:
    """What differs from Liberator (None: nothing), and which of `OURS` explain the rest."""
    ours: set[str] = set()
    liberators_allowed = [step for step in case.trace if step[0] == "method-allowed?" and step[1]]
    if case.request["method"] not in SERVED and liberators_allowed and reply.status == 405:
        return None, {"E3"}
    if _lenient_date(case):
        return None, {"E5"}
    expected, status = case.path, case.response["status"]
    if reply.status != status:
        return f"status {status}, ours {reply.status}", ours
    path = path_of(reply)
    if status == 300:
        expected = [*expected[: expected.index("exists") + 1], expected[-1]]
        ours.add("E6")
    if path != expected:
        return f"path {expected}, ours {path}", ours
    return (_compare_fields(case, reply, ours) if fields else None), ours


def _lenient_date(case: Case) -> bool:
    for step in case.trace:
        if step[0].endswith("-since-valid-date?") and step[1]:
            return date(case.header(step[0].removesuffix("-valid-date?"))) is None
    return False


def _compare_fields(case: Case, reply: Reply, ours: set[str]) -> str | None:
    theirs = {name.lower(): value for name, value in case.response["headers"].items()}
    for name in ("location", "etag", "last-modified", "allow"):
        sent, wanted = reply.headers.get(name), theirs.get(name)
        if name == "allow" and wanted and sent != wanted:
            served = [method for method in wanted.split(", ") if method in SERVED]
            if sent == ", ".join(served):
                ours.add("E3")
                continue
        if sent != wanted:
            return f"{name} {wanted!r}, ours {sent!r}"
    return _compare_content_type(theirs.get("content-type"), reply, ours)


def _compare_content_type(wanted: str | None, reply: Reply, ours: set[str]) -> str | None:
    sent = reply.headers.get("content-type")
    if sent is None and wanted is not None and reply.headers.get("content-length", "0") == "0":
        ours.add("E2")
        return None
    if reply.trace[-1] in BEFORE_NEGOTIATION:
        if _parts(sent) != _parts(wanted):
            ours.add("E1")
        return None
    if _parts(sent) == _parts(wanted):
        return None
    essence, parameters = _parts(sent)
    if (essence, parameters - {"level=1"}) == _parts(wanted):
        ours.add("E4")
        return None
    return f"content-type {wanted!r}, ours {sent!r}"


def _parts(value: str | None) -> tuple[str, frozenset[str]]:
    essence, *parameters = (value or "").lower().replace(" ", "").split(";")
    return essence, frozenset(parameters)


@pytest.mark.no_cover
def test_where_liberator_keeps_to_the_rfc_the_engine_answers_as_it_does() -> None:
    """Same status, same path, same Location, ETag, Last-Modified, Allow and Content-Type."""
    asked, wrong, ours = 0, list[str](), Counter[str]()
    for case in cases():
        if case.deviations:
            continue
        asked += 1
        differs, reasons = compare(case, case.reply, fields=True)
        ours.update(reasons)
        if differs:
            wrong.append(f"case {case.id}: {differs}")
    print(f"\nLiberator, no deviation: {asked - len(wrong)} of {asked} alike")
    for code, count in sorted(ours.items()):
        print(f"  {count:4} with {code}: {OURS[code]}")
    assert not wrong, "\n".join(wrong[:20])
    assert asked


@pytest.mark.no_cover
def test_where_liberator_does_not_the_engine_answers_by_the_rfc() -> None:
    """Each code of each case holds; those that concern fields only keep Liberator's path."""
    counts, broken = Counter[str](), list[str]()
    for case in cases():
        if not case.deviations:
            continue
        reply = case.reply
        for code in case.codes:
            counts[code] += 1
            holds = RFC[code].holds
            if holds is not None and not holds(case, reply):
                broken.append(
                    f"case {case.id}: {code}: {RFC[code].says} (RFC 9110, {RFC[code].section})"
                )
        if case.codes <= HEADER_ONLY and "status" in case.response:
            differs, _ = compare(case, reply, fields=False)
            if differs:
                broken.append(f"case {case.id}: {sorted(case.codes)}: {differs}")
    print(f"\nLiberator, deviations by RFC 9110: {sum(counts.values())} in {len(counts)} codes")
    for code, rule in RFC.items():
        print(f"  {counts[code]:4} {code:4} {rule.section:16} {rule.says}")
    assert not broken, f"{len(broken)} broken:\n" + "\n".join(broken[:30])


@pytest.mark.no_cover
def test_the_specialised_functions_answer_every_case_as_the_walk_does() -> None:
    """Status, fields and content are those of the walk, which the tests above hold to Liberator."""

    async def both() -> tuple[int, list[str]]:
        asked, wrong = 0, list[str]()
        for case in cases():
            asked += 1
            walked, fast = case.reply.response, await case.specialised()
            if _said(walked) != _said(fast):
                wrong.append(f"case {case.id}: {_said(walked)} on foot, {_said(fast)} specialised")
        return asked, wrong

    asked, wrong = asyncio.run(both())
    print(f"\nLiberator, specialised as on foot: {asked - len(wrong)} of {asked}")
    assert not wrong, "\n".join(wrong[:20])
    assert asked


def _said(response: Response) -> tuple[object, ...]:
    return (response.status, tuple(response.headers), response.content, repr(response.error))


def test_every_code_has_its_section() -> None:
    """No case carries a code that the table does not know."""
    assert {code for case in cases() for code in case.codes} <= set(RFC)


def test_no_case_ends_in_a_500() -> None:
    """Whatever a case asks, the engine knows an answer."""
    for case in cases():
        reply = case.reply
        assert reply.status != 500
        assert reply.trace[-1] in HANDLERS


def test_the_mended_questions_are_ours_to_place() -> None:
    """What is taken out of both paths before they are compared is named, and little."""
    assert len(MENDED) == 4
