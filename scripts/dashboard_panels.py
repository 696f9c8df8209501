"""What the Grafana dashboard shows: its rows, and the panels of each with their unit and their expressions."""

from dataclasses import dataclass

# Which series a panel is about: the variables of the dashboard.
_HERE = 'job=~"$job",instance=~"$instance"'
_CLIENT = f'{_HERE},client=~"$client"'
_PER_SECOND, _SECONDS, _SHARE, _NUMBER, _BYTES = "reqps", "s", "percentunit", "short", "bytes"


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: `expressions` by their legend, in which `{{label}}` stands for the value of a label.

    `unit` is one of Grafana's. `is_single` shows the last values as numbers instead of lines.
    """

    title: str
    about: str
    unit: str
    expressions: dict[str, str]
    is_single: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A row of panels under a title."""

    title: str
    panels: tuple[Panel, ...]


def _rate(metric: str, by: str = "", where: str = _HERE) -> str:
    """How often per second the counter steps, added up by these labels."""
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{{{where}}}[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str = "") -> str:
    """A quantile of a histogram, by these labels."""
    labels = ", ".join(filter(None, (by, "le")))
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{{{_HERE}}}[$__rate_interval])))"


def _quantiles(metric: str) -> dict[str, str]:
    return {f"p{share * 100:g}": _quantile(share, metric) for share in (0.5, 0.95, 0.99)}


def _events(**kinds: str) -> dict[str, str]:
    """Events of the SMART server per second, by legend."""
    return {
        legend.replace("_", " "): _rate("smart_gateway_smart_events_total", where=f'{_HERE},event="{kind}"')
        for legend, kind in kinds.items()
    }


_ERRORS = _rate("smart_gateway_requests_total", where=f'{_HERE},status="5xx"')
_SERVER_FAILED = f'{_HERE},reason=~"upstream_.+|overloaded"'
_THROTTLED = f'{_HERE},reason=~"too_many_requests|overloaded|client_gone"'
_HITS = _rate("smart_gateway_token_cache_lookups_total", where=f'{_HERE},result="hit"')

_TRAFFIC = Row("Traffic", (
    Panel("Requests", "Requests a second that the FHIR endpoints answer.", _PER_SECOND,
          {"requests": _rate("smart_gateway_requests_total")}, is_single=True),
    Panel("Share of errors", "Requests that end with a status of 5xx.", _SHARE,
          {"errors": f"({_ERRORS} or vector(0)) / {_rate('smart_gateway_requests_total')}"}, is_single=True),
    Panel("Gateways", "Gateways that run, by version.", _NUMBER,
          {"{{version}}": f"count by (version) (smart_gateway_build_info{{{_HERE}}})"}, is_single=True),
    Panel("Requests by interaction", "FHIR's names of interactions; `page` is a paging link.", _PER_SECOND,
          {"{{interaction}}": _rate("smart_gateway_requests_total", "interaction")}),
    Panel("Requests by status", "Classes of HTTP status.", _PER_SECOND,
          {"{{status}}": _rate("smart_gateway_requests_total", "status")}),
    Panel("Requests by client", "The first 100 clients by name; `none` had no token that was accepted.", _PER_SECOND,
          {"{{client}}": _rate("smart_gateway_client_decisions_total", "client", _CLIENT)}),
    Panel("Duration of requests", "Until the response had been sent.", _SECONDS,
          _quantiles("smart_gateway_request_duration_seconds")),
    Panel("Duration by interaction, p99", "One request in a hundred takes longer.", _SECONDS,
          {"{{interaction}}": _quantile(0.99, "smart_gateway_request_duration_seconds", "interaction")}),
    Panel("Bytes sent", "Bodies of responses, apart from streamed ones.", "Bps",
          {"bodies": _rate("smart_gateway_response_bytes_total")}),
))  # fmt: skip

_REFUSALS = Row("Refusals", (
    Panel("Refusals by reason", "Why requests were refused; the reasons are explained in the documentation.",
          _PER_SECOND,
          {"{{reason}}": _rate("smart_gateway_decisions_total", "reason", f'{_HERE},reason!="permitted"') + " > 0"}),
    Panel("Refusals by client", "Requests that were not permitted, by client.", _PER_SECOND,
          {"{{client}}": _rate("smart_gateway_client_decisions_total", "client", f'{_CLIENT},reason!="permitted"')}),
    Panel("Refusals of the chosen clients by reason", "Choose a client above.", _PER_SECOND,
          {"{{client}}: {{reason}}": _rate("smart_gateway_client_decisions_total", "client, reason",
                                           f'{_CLIENT},reason!="permitted"')}),
))  # fmt: skip

_ENFORCEMENT = Row("Enforcement", (
    Panel("Resources held back", "Entries removed from responses, by type.", "cps",
          {"{{resource_type}}": _rate("smart_gateway_dropped_entries_total", "resource_type")}),
    Panel("Narrowing misses", "The FHIR server returned what the search had excluded. This should be 0.", "cps",
          {"{{resource_type}}": _rate("smart_gateway_narrowing_misses_total", "resource_type")}),
    Panel("Withheld by record rules", "Entries that only a record rule hides, and records that a site's rule denied "
          "because it did not work.", "cps",
          {"withheld {{resource_type}}": _rate("smart_gateway_withheld_entries_total", "resource_type")
           + " or vector(0)",
           "{{rule}}: {{problem}}": _rate("smart_gateway_site_rule_failures_total", "rule, problem")
           + " or vector(0)"}),
    Panel("Shadow mode", "Requests that were not held to their decision, by what enforcement would have made of them, "
          "and the entries of the configuration that are in force.", _NUMBER,
          {"{{outcome}} per second": _rate("smart_gateway_shadow_requests_total", "outcome"),
           "entries": f"max(smart_gateway_shadow_entries_in_force{{{_HERE}}})"}),
    Panel("Pages filled up", "Pages fetched to fill up another one, and responses that stayed short all the same.",
          "cps", {"fetched": _rate("smart_gateway_refilled_pages_total"),
                  "short": _rate("smart_gateway_short_pages_total")}),
    Panel("Links that could not be followed", "Paging links of the FHIR server, by relation.", "cps",
          {"{{relation}}": _rate("smart_gateway_unusable_links_total", "relation")}),
    Panel("Streamed responses", "Responses that need no check.", _PER_SECOND,
          {"streamed": _rate("smart_gateway_streamed_responses_total")}),
    Panel("Spans", "Spans of traces, by what became of them.", "cps",
          {"{{outcome}}": _rate("smart_gateway_spans_total", "outcome")}),
    Panel("Lost audit lines", "Lines that could not be written. This should be 0.", _NUMBER,
          {"{{instance}}": f"sum by (instance) (smart_gateway_audit_lines_lost_total{{{_HERE}}})"}),
    Panel("AuditEvents", "Those that were kept, and those that each sink has confirmed.", _PER_SECOND,
          {"kept": _rate("smart_gateway_audit_events_total"),
           "{{sink}}": _rate("smart_gateway_audit_events_delivered_total", "sink")}),
    Panel("AuditEvents that wait", "What waits in the spools, and how old the oldest event is.", _NUMBER,
          {"bytes": f"sum(smart_gateway_audit_spool_bytes{{{_HERE}}})",
           "seconds for {{sink}}":
               f"time() - min by (sink) (smart_gateway_audit_oldest_waiting_timestamp_seconds{{{_HERE}}})"}),
    Panel("Lost and rejected AuditEvents", "Both should be 0.", _NUMBER,
          {"lost": f"sum(smart_gateway_audit_events_lost_total{{{_HERE}}})",
           "rejected": f"sum(smart_gateway_audit_events_rejected_total{{{_HERE}}})"}),
))  # fmt: skip

_FHIR_SERVER = Row("FHIR server", (
    Panel("Waiting for the FHIR server", "The part of a request that the FHIR server takes.", _SECONDS,
          _quantiles("smart_gateway_upstream_duration_seconds")),
    Panel("In the gateway itself", "The part of a request that the gateway takes.", _SECONDS,
          _quantiles("smart_gateway_overhead_seconds")),
    Panel("Failures of the FHIR server", "Requests that ended because of it, by reason.", _PER_SECOND,
          {"{{reason}}": _rate("smart_gateway_decisions_total", "reason", _SERVER_FAILED)}),
    Panel("Connections", "Open connections, and how many there may be.", _NUMBER,
          {"{{state}}": f"sum by (state) (smart_gateway_pool_connections{{{_HERE}}})",
           "limit": f"sum (smart_gateway_pool_max_connections{{{_HERE}}})"}),
    Panel("Waiting for a connection", "Requests in the queue.", _NUMBER,
          {"waiting": f"sum (smart_gateway_pool_waiting{{{_HERE}}})"}),
    Panel("Throttled requests", "Refused because a client, or all together, had too many in progress.", _PER_SECOND,
          {"{{reason}}": _rate("smart_gateway_decisions_total", "reason", _THROTTLED)}),
    Panel("In progress", "Requests in progress, their clients, and open connections of clients.", _NUMBER,
          {"requests": f"sum (smart_gateway_requests_in_progress{{{_HERE}}})",
           "clients": f"sum (smart_gateway_clients_in_progress{{{_HERE}}})",
           "connections": f"sum (smart_gateway_client_connections{{{_HERE}}})"}),
    Panel("Connections ended", "Connections of clients that were refused or ended: too many, or too slow.", "cps",
          {"{{cause}}": _rate("smart_gateway_client_connections_ended_total", "cause")}),
    Panel("Connections opened", "Many mean that the FHIR server, or a proxy, closes them.", "cps",
          {"opened": _rate("smart_gateway_pool_connections_opened_total")}),
))  # fmt: skip

_SMART_SERVER = Row("SMART server", (
    Panel("Sign-ins", "Logins of users here and at providers.", "cps",
          _events(signed_in="signed_in", failed="sign_in_failed")),
    Panel("Launches and grants", "What users decided, and what was refused to apps before.", "cps",
          _events(launched="launched", granted="granted", denied="denied", refused="authorization_refused")),
    Panel("Tokens", "Responses of the token endpoint: issued, or the OAuth error.", "cps",
          {"{{outcome}}": _rate("smart_gateway_token_responses_total", "outcome")}),
    Panel("Ends of access", "Grants that ended, refresh tokens that came twice, logouts at providers.", "cps",
          _events(revoked="revoked", refresh_token_reused="refresh_reused", provider_logout="provider_logout")),
    Panel("Limits reached", "Tries and requests that a limit refused.", "cps",
          {"{{limit}}": _rate("smart_gateway_limits_reached_total", "limit")}),
    Panel("Tokens that were remembered", "Lookups that needed no check of the token.", _SHARE,
          {"remembered": f"{_HITS} / {_rate('smart_gateway_token_cache_lookups_total')}"}),
    Panel("Remembered tokens", "Entries of the token caches.", _NUMBER,
          {"{{instance}}": f"sum by (instance) (smart_gateway_token_cache_entries{{{_HERE}}})"}),
    Panel("Keys and documents fetched", "Requests to issuers, providers and apps, by outcome.", "cps",
          {"{{document}}: {{outcome}}": _rate("smart_gateway_document_fetches_total", "document, outcome")}),
    Panel("Age of keys", "Since the signing key signs; since an issuer's keys were loaded.", _SECONDS,
          {"signing key": f"time() - min (smart_gateway_signing_key_timestamp_seconds{{{_HERE}}})",
           "{{issuer}}": f"time() - min by (issuer) (smart_gateway_issuer_keys_timestamp_seconds{{{_HERE}}})"}),
))  # fmt: skip

_STORE = Row("Store", (
    Panel("Round trips", "By operation.", "ops",
          {"{{operation}}": _rate("smart_gateway_store_round_trips_total", "operation")}),
    Panel("Failed round trips", "The store did not answer. This should be 0.", "ops",
          {"{{operation}}": _rate("smart_gateway_store_round_trips_total", "operation", f'{_HERE},outcome="failed"')}),
    Panel("Duration of a round trip", "All operations together.", _SECONDS,
          _quantiles("smart_gateway_store_duration_seconds")),
))  # fmt: skip

_PROCESS = Row("Process", (
    Panel("Processor time", "1 is a whole core, which is all that one worker can use.", _NUMBER,
          {"{{instance}}": f"sum by (instance) (rate(process_cpu_seconds_total{{{_HERE}}}[$__rate_interval]))"}),
    Panel("Memory", "Resident memory.", _BYTES,
          {"{{instance}}": f"sum by (instance) (process_resident_memory_bytes{{{_HERE}}})"}),
    Panel("File descriptors", "Open ones.", _NUMBER,
          {"{{instance}}": f"sum by (instance) (process_open_fds{{{_HERE}}})"}),
    Panel("Workers replaced", "Workers of `serve --workers` that died. This should be 0.", "cps",
          {"replaced": f"{_rate('smart_gateway_worker_replacements_total')} or vector(0)"}),
    Panel("Running for", "Since the start of the process.", _SECONDS,
          {"{{instance}}": f"time() - min by (instance) (process_start_time_seconds{{{_HERE}}})"}),
    Panel("Configurations in force", "Instances by the version of their configuration. One line is the rule.", _NUMBER,
          {"{{version}}": f"count by (version) (smart_gateway_configuration_info{{{_HERE}}})"}),
    Panel("Configuration in force for", "Since the start, or the last reload that changed something.", _SECONDS,
          {"{{instance}}":
               f"time() - max by (instance) (smart_gateway_configuration_timestamp_seconds{{{_HERE}}})"}),
    Panel("Reloads", "Those that changed something, and those that were refused.", "cps",
          {"{{outcome}}": _rate("smart_gateway_configuration_reloads_total", "outcome"),
           "refused: {{reason}}": _rate("smart_gateway_reload_failures_total", "reason")}),
    Panel("Files not in force", "Instances whose files hold one that is refused. This should be 0.", _NUMBER,
          {"refused": f"sum(smart_gateway_configuration_refused{{{_HERE}}})"}),
))  # fmt: skip

ROWS = (_TRAFFIC, _REFUSALS, _ENFORCEMENT, _FHIR_SERVER, _SMART_SERVER, _STORE, _PROCESS)
