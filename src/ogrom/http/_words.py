"""The graph in words: what each decision asks, what each action does, and the section that has it so."""

from collections.abc import Mapping
from typing import Final

from ogrom.http._graph import HANDLERS

TABLE: Final[Mapping[str, tuple[str, str]]] = {
    # name                        what it asks                                       where that is written
    "service_available":          ("Is the service up?",                             "RFC 9110, section 15.6.4"),
    "method_known":               ("Is it a method that HTTP knows?",                "RFC 9110, section 9.1"),
    "uri_too_long":               ("Is the URI too long?",                           "RFC 9110, section 15.5.15"),
    "is_preflight":               ("Does a browser ask for leave first?",            "Fetch, CORS-preflight fetch"),
    "method_allowed":             ("Has the resource this method?",                  "RFC 9110, section 15.5.6"),
    "malformed":                  ("Is the request malformed?",                      "RFC 9110, section 15.5.1"),
    "query_valid":                ("Is the query what the resource takes?",          "RFC 9110, section 15.5.1"),
    "authorized":                 ("Is it known who asks?",                          "RFC 9110, section 11.6.2"),
    "too_many_requests":          ("Does this client ask too often?",                "RFC 6585, section 4"),
    "allowed":                    ("May they do this?",                              "RFC 9110, section 15.5.4"),
    "unavailable_for_legal_reasons":
                                  ("Is it withheld for legal reasons?",              "RFC 7725, section 3"),
    "content_headers_valid":      ("Are the content's fields in order?",             "RFC 9110, sections 8.6 and 14.5"),
    "content_type_known":         ("Can content of this type be read?",              "RFC 9110, sections 8.3 and 15.5.16"),
    "content_length_valid":       ("Does it say that it is short enough?",           "RFC 9110, section 8.6"),
    "is_options":                 ("Is it OPTIONS?",                                 "RFC 9110, section 9.3.7"),
    "accept_exists":              ("Is Accept there?",                               "RFC 9110, section 12.5.1"),
    "media_type_available":       ("Is a media type offered that it takes?",         "RFC 9110, section 12.5.1"),
    "accept_language_exists":     ("Is Accept-Language there?",                      "RFC 9110, section 12.5.4"),
    "language_available":         ("Is a language offered that it takes?",           "RFC 4647, section 3.4"),
    "accept_charset_exists":      ("Is Accept-Charset there?",                       "RFC 9110, section 12.5.2"),
    "charset_available":          ("Is a charset offered that it takes?",            "RFC 9110, section 12.5.2"),
    "accept_encoding_exists":     ("Is Accept-Encoding there?",                      "RFC 9110, section 12.5.3"),
    "encoding_available":         ("Is a coding offered that it takes?",             "RFC 9110, section 12.5.3"),
    "content_within_limit":       ("Is the content short enough?",                   "RFC 9110, section 15.5.14"),
    "content_well_formed":        ("Is the content well formed?",                    "RFC 9110, section 15.5.1"),
    "content_valid":              ("Is the content what the resource takes?",        "RFC 9110, section 15.5.21"),
    "processable":                ("Can it be processed?",                           "RFC 9110, section 15.5.21"),
    "exists":                     ("Is it there?",                                   "RFC 9110, section 15.5.5"),
    "allowed_for_entity":         ("May they do this to what was found?",            "RFC 9110, section 15.5.4"),
    "method_reads":               ("Does the method only read?",                     "RFC 9110, section 9.2.1"),
    "multiple_representations":   ("Are there several to choose from?",              "RFC 9110, section 15.4.1"),
    "precondition_required":      ("Must it say which state it changes?",            "RFC 6585, section 3"),
    "precondition_exists":        ("Does it say which state it changes?",            "RFC 6585, section 3"),
    "if_match_exists":            ("Is If-Match there?",                             "RFC 9110, section 13.2.2, step 1"),
    "if_match_star":              ("Is If-Match a star?",                            "RFC 9110, section 13.1.1"),
    "etag_matches_for_if_match":  ("Does a tag of If-Match match?",                  "RFC 9110, section 13.1.1"),
    "if_unmodified_since_exists": ("Is If-Unmodified-Since there?",                  "RFC 9110, section 13.2.2, step 2"),
    "if_unmodified_since_valid_date":
                                  ("Is it a date?",                                  "RFC 9110, section 13.1.4"),
    "unmodified_since":           ("Is what is there as old?",                       "RFC 9110, section 13.1.4"),
    "if_none_match_exists":       ("Is If-None-Match there?",                        "RFC 9110, section 13.2.2, step 3"),
    "if_none_match_star":         ("Is If-None-Match a star?",                       "RFC 9110, section 13.1.2"),
    "etag_matches_for_if_none_match":
                                  ("Does a tag of If-None-Match match?",             "RFC 9110, section 13.1.2"),
    "if_none_match_reads":        ("Does the method only read?",                     "RFC 9110, section 13.1.2"),
    "if_modified_since_exists":   ("Is If-Modified-Since there?",                    "RFC 9110, section 13.2.2, step 4"),
    "if_modified_since_valid_date":
                                  ("Is it a date?",                                  "RFC 9110, section 13.1.3"),
    "modified_since":             ("Is what is there newer?",                        "RFC 9110, section 13.1.3"),
    "if_match_exists_for_missing":
                                  ("Is If-Match there, for what is missing?",        "RFC 9110, section 13.1.1"),
    "method_put":                 ("Is it PUT?",                                     "RFC 9110, section 9.3.4"),
    "put_to_different_url":       ("Does it belong elsewhere?",                      "RFC 9110, section 9.3.4"),
    "can_put_to_missing":         ("May PUT create it?",                             "RFC 9110, section 9.3.4"),
    "existed":                    ("Was it there once?",                             "RFC 9110, section 15.5.11"),
    "moved_permanently":          ("Has it moved for good?",                         "RFC 9110, section 15.4.2"),
    "permanent_redirect":         ("Has it moved for good, method and all?",         "RFC 9110, section 15.4.9"),
    "moved_temporarily":          ("Has it moved for now?",                          "RFC 9110, section 15.4.8"),
    "post_to_gone":               ("Is it POST?",                                    "RFC 9110, section 9.3.3"),
    "can_post_to_gone":           ("May POST go ahead all the same?",                "RFC 9110, section 9.3.3"),
    "post_to_missing":            ("Is it POST?",                                    "RFC 9110, section 9.3.3"),
    "can_post_to_missing":        ("May POST go ahead all the same?",                "RFC 9110, section 9.3.3"),
    "method_delete":              ("Is it DELETE?",                                  "RFC 9110, section 9.3.5"),
    "method_patch":               ("Is it PATCH?",                                   "RFC 5789, section 2"),
    "post_to_existing":           ("Is it POST?",                                    "RFC 9110, section 9.3.3"),
    "put_to_existing":            ("Is it PUT?",                                     "RFC 9110, section 9.3.4"),
    "conflict":                   ("Does it contradict what is there?",              "RFC 9110, section 15.5.10"),
    "method_post":                ("Is it POST?",                                    "RFC 9110, section 9.3.3"),
    "delete":                     ("Remove it.",                                     "RFC 9110, section 9.3.5"),
    "patch":                      ("Change a part of it.",                           "RFC 5789, section 2"),
    "post":                       ("Do what POST does here.",                        "RFC 9110, section 9.3.3"),
    "put":                        ("Put this in its place.",                         "RFC 9110, section 9.3.4"),
    "delete_enacted":             ("Is it done, not merely accepted?",               "RFC 9110, section 9.3.5"),
    "patch_enacted":              ("Is it done, not merely accepted?",               "RFC 9110, section 15.3.3"),
    "put_enacted":                ("Is it done, not merely accepted?",               "RFC 9110, section 15.3.3"),
    "post_enacted":               ("Is it done, not merely accepted?",               "RFC 9110, section 15.3.3"),
    "post_redirect":              ("Is the answer elsewhere?",                       "RFC 9110, section 15.4.4"),
    "new":                        ("Was something created?",                         "RFC 9110, section 15.3.2"),
    "respond_with_entity":        ("Is there something to show?",                    "RFC 9110, section 15.3.5"),
}  # fmt: skip
"""What each decision asks and each action does, in words, and the section that has it so."""

_SECTIONS: Final = {
    200: "15.3.1", 201: "15.3.2", 202: "15.3.3", 204: "15.3.5", 300: "15.4.1", 301: "15.4.2",
    303: "15.4.4", 304: "15.4.5", 307: "15.4.8", 308: "15.4.9", 400: "15.5.1", 401: "15.5.2",
    403: "15.5.4", 404: "15.5.5", 405: "15.5.6", 406: "15.5.7", 409: "15.5.10", 410: "15.5.11",
    412: "15.5.13", 413: "15.5.14", 414: "15.5.15", 415: "15.5.16", 422: "15.5.21",
    500: "15.6.1", 501: "15.6.2", 503: "15.6.4",
}  # fmt: skip
_ELSEWHERE: Final = {
    428: "RFC 6585, section 3",
    429: "RFC 6585, section 4",
    451: "RFC 7725, section 3",
}


def words(name: str) -> tuple[str, str]:
    """What a decision asks, an action does or a handler answers; and the section that has it so."""
    if name in HANDLERS:
        status = HANDLERS[name]
        section = _SECTIONS.get(status)
        where = f"RFC 9110, section {section}" if section else _ELSEWHERE.get(status, "")
        return (
            f"Answer with {status}." if status else "Answer with the refusal's own status.",
            where,
        )
    return TABLE[name]
