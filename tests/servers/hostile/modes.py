"""The modes of the hostile server, each with a name and a sentence."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Mode(StrEnum):
    """A way to misbehave; the mode is the first segment of the path: `/{mode}/fhir`.

    Where a mode has nothing to say about a request (a read in a mode about searches), the server answers honestly, as
    if it held patient A alone.
    """

    sentence: str

    def __new__(cls, name: str, sentence: str = "") -> Self:
        """Give the name its sentence."""
        mode = str.__new__(cls, name)
        mode._value_ = name
        mode.sentence = sentence
        return mode

    HONEST = "honest", "Holds patient A alone: every search finds A's records, every other id is 404."

    # Searches, histories and Bundles
    IGNORES_EVERYTHING = "ignores-everything", "Every answer holds A and B mixed, whatever was asked."
    ONLY_B = "only-b", "Every search, history and operation answers B's records alone."
    INCLUDES_OF_B = "includes-of-b", "Matches are A's; the included resources are B's."
    NO_SEARCH_MODE = "no-search-mode", "Matches of B carry no `search` element."
    UNKNOWN_SEARCH_MODE = "unknown-search-mode", "Matches of B carry a search mode that FHIR does not know."
    MATCH_AS_OUTCOME = "match-as-outcome", "Records of B come as `search.mode = outcome`."
    WRONG_TYPE = "wrong-type", "Matches are B's, of types that nobody asked for."
    CONTAINED_B = "contained-b", "A's resource contains B's Patient and Observation."
    BUNDLE_IN_BUNDLE = "bundle-in-bundle", "A match is a Bundle or Parameters that holds B's records."
    HIDDEN_IN_BUNDLE = "hidden-in-bundle", "B's data stands in Bundle elements other than `entry.resource`."
    ENTRY_OF_NO_RESOURCE = "entry-of-no-resource", "Entries are null, lists, texts, or a list of B's resources."
    STRIPPED_SUBJECT = "stripped-subject", "Records of B come without the element that says whose they are."
    HISTORY_OF_B = "history-of-b", "Older versions of A's resources belonged to B: instance, type, system and vread."
    PAGES_OF_B = "pages-of-b", "The first page is A's; the pages behind its links are B's."
    EVIL_LINKS = "evil-links", "Links, fullUrls and Locations point to other hosts, schemes, users and paths."
    WRONG_TOTAL = "wrong-total", "`total` counts B's records, and differs on each page."
    TOTAL_OF_NO_NUMBER = "total-of-no-number", "`total` is a text that names B."
    OUTCOME_IN_BUNDLE = "outcome-in-bundle", "An outcome entry quotes B's ids and names."
    ANOTHER_BUNDLE_TYPE = "another-bundle-type", "A search is answered by a document or collection Bundle of B's."
    NOT_A_BUNDLE = "not-a-bundle", "A search is answered by one resource of B."
    NDJSON_OF_B = "ndjson-of-b", "Bulk export: evil file URLs, and files with lines of A and B."

    # Reads
    READ_OF_B = "read-of-b", "A read answers another resource: B's, under B's id."
    SUBJECT_OF_B = "subject-of-b", "A read answers the id asked for, but its subject is B."
    TYPE_OF_B = "type-of-b", "A read of any type answers B's Patient."
    LIST_OF_SUBJECTS = "list-of-subjects", "`subject` is a list of A and B where FHIR allows one."
    LOOKALIKE_REFERENCES = "lookalike-references", "B's subject is written so that it looks like A's."
    LOOKALIKE_IDS = "lookalike-ids", "B's patient id begins with, ends with or resembles A's."
    NO_RESOURCE_TYPE = "no-resource-type", "B's resource has no `resourceType`, or one that is no text."
    ALWAYS_304 = "always-304", "Whatever comes with If-None-Match is answered 304; else B's resource."

    # Writes
    WRITE_ECHOES_B = "write-echoes-b", "A write is answered by B's resource and B's Location."
    BATCH_OF_B = "batch-of-b", "A batch is answered by more entries than asked, in another order, with B's records."

    # Errors and headers
    OUTCOME_QUOTES_B = "outcome-quotes-b", "400 with an OperationOutcome that quotes B's id, name and query."
    PATIENT_AS_404 = "patient-as-404", "404 with B's Patient as its body."
    PATIENT_AS_500 = "patient-as-500", "500 with B's Patient as its body."
    STACK_TRACE = "stack-trace", "500 with a text/plain stack trace that prints B's record."
    REDIRECT = "redirect", "302 to another host, with B's id in the Location and B's record in the body."
    UNAUTHORIZED = "unauthorized", "401 with a challenge and B's record in the body."
    HEADERS_OF_B = "headers-of-b", "Cookies, CORS, Server, Link and own headers, all with B's marker."
    EVIL_METADATA = "evil-metadata", "The CapabilityStatement names B, evil hosts and another authorization server."

    # Media types and encodings
    HTML = "html", "B's record as an HTML page."
    XML = "xml", "B's record as FHIR XML."
    JSON_AS_HTML = "json-as-html", "B's record as JSON, labelled text/html."
    HTML_AS_JSON = "html-as-json", "An HTML page with B's record, labelled as FHIR JSON."
    NO_CONTENT_TYPE = "no-content-type", "B's record without a Content-Type."
    UTF_16 = "utf-16", "B's record in UTF-16, labelled so."
    BYTE_ORDER_MARK = "byte-order-mark", "B's record after a byte order mark."
    GZIP_UNASKED = "gzip-unasked", "B's record gzipped although identity was asked for."
    GZIP_BOMB = "gzip-bomb", "A small gzipped body that becomes 64 MiB."
    UNKNOWN_ENCODING = "unknown-encoding", "B's record labelled with a content coding that nobody knows."

    # JSON
    MALFORMED_JSON = "malformed-json", "B's record, cut in the middle of a value, with a right Content-Length."
    TRAILING_DOCUMENT = "trailing-document", "A's document, then a second document of B's in the same body."
    DUPLICATE_SUBJECT_A_B = "duplicate-subject-a-b", "B's record with two subjects: A, then B."
    DUPLICATE_SUBJECT_B_A = "duplicate-subject-b-a", "B's record with two subjects: B, then A."
    ESCAPED_SUBJECT_A_B = "escaped-subject-a-b", "Two subjects: A, then B under a key written with an escape."
    ESCAPED_SUBJECT_B_A = "escaped-subject-b-a", "Two subjects: B under a key written with an escape, then A."
    DUPLICATE_RESOURCE_TYPE = "duplicate-resource-type", "Two resource types: the one asked for, then Basic."
    DUPLICATE_ENTRY = "duplicate-entry", "A Bundle with two `entry` lists (A's, then B's), or two `resource` keys."
    INVALID_UTF8 = "invalid-utf8", "B's record with bytes that are no UTF-8."
    LONE_SURROGATE = "lone-surrogate", "B's record with half a surrogate pair."
    NUL_BYTES = "nul-bytes", "B's record with NUL bytes, raw and escaped."
    NOT_A_NUMBER = "not-a-number", "B's record with NaN, Infinity and 1e999."
    DEEP_NESTING = "deep-nesting", "B's record with a hundred thousand nested lists."
    DEEP_EXTENSIONS = "deep-extensions", "A valid resource of B with five thousand nested extensions."
    NOT_AN_OBJECT = "not-an-object", "The body is a JSON list of B's records."

    # The wire
    HUGE_BODY = "huge-body", "64 MiB of B's records, in chunks."
    HUGE_STRING = "huge-string", "A's resource with one text of 64 MiB."
    ENDLESS_BODY = "endless-body", "B's records forever."
    SLOW_BODY = "slow-body", "A right answer about B, a byte every fifth of a second."
    SILENT = "silent", "Takes the request and never answers."
    CLOSES_AT_ONCE = "closes-at-once", "Takes the request and closes the connection."
    TRUNCATED_BODY = "truncated-body", "Closes the connection before Content-Length is reached."
    TRUNCATED_CHUNKS = "truncated-chunks", "Closes the connection before the last chunk."
    ENDS_WITH_CONNECTION = "ends-with-connection", "B's record, neither length nor chunks, ended by closing."
    TWO_LENGTHS = "two-lengths", "Two Content-Lengths: A's document alone, or A's and B's."
    LENGTH_AND_CHUNKS = "length-and-chunks", "Content-Length and chunks together, with different ends."
    UNASKED_ANSWER = "unasked-answer", "A second answer, B's, follows the first on a connection that stays open."
    UNASKED_ANSWER_LATER = "unasked-answer-later", "As before, a tenth of a second later, when the connection is idle."
    BODY_AFTER_304 = "body-after-304", "A 304 with a body that is itself an answer about B."
    BODY_AFTER_204 = "body-after-204", "A 204 with a body that is itself an answer about B."
    EARLY_HINTS = "early-hints", "103 with B's marker, then A's answer."
    SWITCHING_PROTOCOLS = "switching-protocols", "101, then B's record as raw bytes."
    HEADER_FLOOD = "header-flood", "Header lines forever."
    SPLIT_HEADER = "split-header", "A header value continued on the next line, and bare line feeds."
    BAD_STATUS_LINE = "bad-status-line", "A status line that is none, then B's record."
    NO_HEAD = "no-head", "B's record without any status line or header, as HTTP/0.9."
    TRAILERS_OF_B = "trailers-of-b", "Chunks with extensions and trailers that hold B's marker."
