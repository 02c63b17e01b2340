"""The decision graph of HTTP: which question follows which answer, and where each walk ends.

Rule 1. Every edge lives here. Code elsewhere answers questions; none of it chooses what is next.
Rule 2. This file knows no request and no resource. It is three tables of names.
Rule 3. A walk begins at START and ends at a handler. It never comes to the same place twice.
Rule 4. Whoever answers may refuse instead, by raising `Refused`: the walk then ends at the handler
        of that refusal's status. Anything else raised ends it at `handle_internal_server_error`.

The order of the questions is Liberator's, and so Webmachine's; their precondition edges are not.
What RFC 9110 forbids is not drawn: no If-Modified-Since after an If-None-Match (section 13.1.3),
no If-Unmodified-Since after an If-Match (13.1.4), no precondition in the way of a 300 (13.2.1),
and nothing that is missing matches (13.1.1).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Edges(NamedTuple):
    """Where a decision leads."""

    yes: str
    no: str


START: Final = "service_available"

DECISIONS: Final[Mapping[str, Edges]] = MappingProxyType(
    {
        # decision                      if true                          if false
        "service_available":      Edges("method_known",                  "handle_service_unavailable"),
        "method_known":           Edges("uri_too_long",                  "handle_not_implemented"),
        "uri_too_long":           Edges("handle_uri_too_long",           "is_preflight"),
        "is_preflight":           Edges("handle_preflight",              "method_allowed"),
        "method_allowed":         Edges("malformed",                     "handle_method_not_allowed"),
        "malformed":              Edges("handle_bad_request",            "query_valid"),
        "query_valid":            Edges("authorized",                    "handle_bad_request"),
        # who asks
        "authorized":             Edges("too_many_requests",             "handle_unauthorized"),
        "too_many_requests":      Edges("handle_too_many_requests",      "allowed"),
        "allowed":                Edges("unavailable_for_legal_reasons", "handle_forbidden"),
        "unavailable_for_legal_reasons":
                                  Edges("handle_unavailable_for_legal_reasons", "content_headers_valid"),
        # what is sent with it
        "content_headers_valid":  Edges("content_type_known",            "handle_bad_request"),
        "content_type_known":     Edges("content_length_valid",          "handle_unsupported_media_type"),
        "content_length_valid":   Edges("is_options",                    "handle_content_too_large"),
        "is_options":             Edges("handle_options",                "accept_exists"),
        # what is wanted back
        "accept_exists":          Edges("media_type_available",          "accept_language_exists"),
        "media_type_available":   Edges("accept_language_exists",        "handle_not_acceptable"),
        "accept_language_exists": Edges("language_available",            "accept_charset_exists"),
        "language_available":     Edges("accept_charset_exists",         "handle_not_acceptable"),
        "accept_charset_exists":  Edges("charset_available",             "accept_encoding_exists"),
        "charset_available":      Edges("accept_encoding_exists",        "handle_not_acceptable"),
        "accept_encoding_exists": Edges("encoding_available",            "content_within_limit"),
        "encoding_available":     Edges("content_within_limit",          "handle_not_acceptable"),
        # the content itself
        "content_within_limit":   Edges("content_well_formed",           "handle_content_too_large"),
        "content_well_formed":    Edges("content_valid",                 "handle_bad_request"),
        "content_valid":          Edges("processable",                   "handle_unprocessable_content"),
        "processable":            Edges("exists",                        "handle_unprocessable_content"),
        "exists":                 Edges("allowed_for_entity",            "if_match_exists_for_missing"),
        # it is there
        "allowed_for_entity":     Edges("method_reads",                  "handle_forbidden"),
        "method_reads":           Edges("multiple_representations",      "precondition_required"),
        "multiple_representations":
                                  Edges("handle_multiple_choices",       "if_match_exists"),
        "precondition_required":  Edges("precondition_exists",           "if_match_exists"),
        "precondition_exists":    Edges("if_match_exists",               "handle_precondition_required"),
        "if_match_exists":        Edges("if_match_star",                 "if_unmodified_since_exists"),
        "if_match_star":          Edges("if_none_match_exists",          "etag_matches_for_if_match"),
        "etag_matches_for_if_match":
                                  Edges("if_none_match_exists",          "handle_precondition_failed"),
        "if_unmodified_since_exists":
                                  Edges("if_unmodified_since_valid_date", "if_none_match_exists"),
        "if_unmodified_since_valid_date":
                                  Edges("unmodified_since",              "if_none_match_exists"),
        "unmodified_since":       Edges("if_none_match_exists",          "handle_precondition_failed"),
        "if_none_match_exists":   Edges("if_none_match_star",            "if_modified_since_exists"),
        "if_none_match_star":     Edges("if_none_match_reads",           "etag_matches_for_if_none_match"),
        "etag_matches_for_if_none_match":
                                  Edges("if_none_match_reads",           "method_delete"),
        "if_none_match_reads":    Edges("handle_not_modified",           "handle_precondition_failed"),
        "if_modified_since_exists":
                                  Edges("if_modified_since_valid_date",  "method_delete"),
        "if_modified_since_valid_date":
                                  Edges("modified_since",                "method_delete"),
        "modified_since":         Edges("method_delete",                 "handle_not_modified"),
        # it is missing
        "if_match_exists_for_missing":
                                  Edges("handle_precondition_failed",    "method_put"),
        "method_put":             Edges("put_to_different_url",          "existed"),
        "put_to_different_url":   Edges("handle_permanent_redirect",     "can_put_to_missing"),
        "can_put_to_missing":     Edges("conflict",                      "handle_not_found"),
        "existed":                Edges("moved_permanently",             "post_to_missing"),
        "moved_permanently":      Edges("handle_moved_permanently",      "permanent_redirect"),
        "permanent_redirect":     Edges("handle_permanent_redirect",     "moved_temporarily"),
        "moved_temporarily":      Edges("handle_temporary_redirect",     "post_to_gone"),
        "post_to_gone":           Edges("can_post_to_gone",              "handle_gone"),
        "can_post_to_gone":       Edges("post",                          "handle_gone"),
        "post_to_missing":        Edges("can_post_to_missing",           "handle_not_found"),
        "can_post_to_missing":    Edges("post",                          "handle_not_found"),
        # what is to be done
        "method_delete":          Edges("delete",                        "method_patch"),
        "method_patch":           Edges("patch",                         "post_to_existing"),
        "post_to_existing":       Edges("conflict",                      "put_to_existing"),
        "put_to_existing":        Edges("conflict",                      "handle_ok"),
        "conflict":               Edges("handle_conflict",               "method_post"),
        "method_post":            Edges("post",                          "put"),
        # what was done
        "delete_enacted":         Edges("respond_with_entity",           "handle_accepted"),
        "patch_enacted":          Edges("respond_with_entity",           "handle_accepted"),
        "put_enacted":            Edges("new",                           "handle_accepted"),
        "post_enacted":           Edges("post_redirect",                 "handle_accepted"),
        "post_redirect":          Edges("handle_see_other",              "new"),
        "new":                    Edges("handle_created",                "respond_with_entity"),
        "respond_with_entity":    Edges("handle_ok",                     "handle_no_content"),
    }
)  # fmt: skip
"""Every decision, and where each of its answers leads."""

ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "delete": "delete_enacted",
        "patch": "patch_enacted",
        "post": "post_enacted",
        "put": "put_enacted",
    }
)
"""What changes the world, and the decision that follows."""

HANDLERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "handle_ok": 200,
        "handle_options": 200,
        "handle_created": 201,
        "handle_accepted": 202,
        "handle_no_content": 204,
        "handle_preflight": 204,
        "handle_multiple_choices": 300,
        "handle_moved_permanently": 301,
        "handle_see_other": 303,
        "handle_not_modified": 304,
        "handle_temporary_redirect": 307,
        "handle_permanent_redirect": 308,
        "handle_bad_request": 400,
        "handle_unauthorized": 401,
        "handle_forbidden": 403,
        "handle_not_found": 404,
        "handle_method_not_allowed": 405,
        "handle_not_acceptable": 406,
        "handle_conflict": 409,
        "handle_gone": 410,
        "handle_precondition_failed": 412,
        "handle_content_too_large": 413,
        "handle_uri_too_long": 414,
        "handle_unsupported_media_type": 415,
        "handle_unprocessable_content": 422,
        "handle_precondition_required": 428,
        "handle_too_many_requests": 429,
        "handle_unavailable_for_legal_reasons": 451,
        "handle_internal_server_error": 500,
        "handle_not_implemented": 501,
        "handle_service_unavailable": 503,
        "handle_refused": 0,
    }
)
"""Every end of a walk, and the status that it answers with.

No edge leads to two of them: whatever went wrong, and a refusal by a status that has no handler of
its own, such as 402, which it answers with.
"""

HANDLER_OF: Final[Mapping[int, str]] = MappingProxyType(
    {
        status: name
        for name, status in HANDLERS.items()
        if name not in {"handle_options", "handle_preflight", "handle_refused"}
    }
)
"""The handler of a status, for those who refuse by raising (rule 4)."""


def edges() -> Iterator[tuple[str, bool | None, str]]:
    """Every edge as (from, answer, to); the answer of an action is None."""
    for name, (yes, no) in DECISIONS.items():
        yield name, True, yes
        yield name, False, no
    for name, following in ACTIONS.items():
        yield name, None, following


def to_dot() -> str:
    """The graph in Graphviz' language, drawn from the tables."""
    lines = ["digraph ogrom {", "  node [shape=box, style=rounded, fontname=monospace];"]
    lines += [f'  {name} [label="{status} {name}"];' for name, status in HANDLERS.items()]
    lines += [f"  {name} [shape=oval];" for name in ACTIONS]
    labels = {True: "yes", False: "no", None: ""}
    lines += [f'  {start} -> {end} [label="{labels[how]}"];' for start, how, end in edges()]
    return "\n".join([*lines, "}", ""])
