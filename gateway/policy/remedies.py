"""What helps against each refusal in general: what to send, which scope to ask for, or which setting decides."""

from collections.abc import Mapping

from gateway.policy.reasons import Reason

REMEDIES: Mapping[Reason, str] = {
    Reason.TOKEN_MISSING: "send the header 'Authorization: Bearer <access token>'",
    Reason.TOKEN_MALFORMED: "a signed JWT of one of the issuers, or issuers[].introspection for opaque tokens",
    Reason.TOKEN_ISSUER_UNKNOWN: "an entry of issuers whose issuer is the token's iss, character by character",
    Reason.TOKEN_ALGORITHM_REFUSED: "issuers[].algorithms with the algorithm of the token",
    Reason.TOKEN_KEY_UNKNOWN: "a key with the token's kid at issuers[].jwks_url or in issuers[].jwks_file",
    Reason.TOKEN_SIGNATURE_INVALID: "a token that was signed with a key of issuers[].jwks_url or issuers[].jwks_file",
    Reason.TOKEN_EXPIRED: "a new token; issuers[].clock_skew_seconds if the clocks differ",
    Reason.TOKEN_NOT_YET_VALID: "a token that is valid already; issuers[].clock_skew_seconds if the clocks differ",
    Reason.TOKEN_AUDIENCE_WRONG: "a token for this server, or issuers[].audiences with an aud of the token",
    Reason.TOKEN_NOT_AN_ACCESS_TOKEN: "the access token, not another kind; issuers[].accepted_types names its typ",
    Reason.TOKEN_CLAIMS_INVALID: "a token with all claims; issuers[].claims says how they are named",
    Reason.TOKEN_INACTIVE: "a new token: this one is expired, revoked or unknown, or its app is disabled",
    Reason.TOKEN_CERTIFICATE_MISSING: "a connection with the certificate that the token was issued to; "
    "listen.client_certificates, without which no certificate is seen here",
    Reason.TOKEN_CHECK_UNAVAILABLE: "an issuer, or a smart_server.store, that answers",
    Reason.REQUEST_MALFORMED: "a request as RFC 9112 defines it, without TLS where no TLS is expected",
    Reason.PATH_MALFORMED: "a path of the FHIR RESTful API below public_base_url",
    Reason.RESOURCE_TYPE_UNKNOWN: "the name of an R4 resource type, in its exact spelling",
    Reason.QUERY_MALFORMED: "a query that is percent-encoded",
    Reason.PARAMETER_UNKNOWN: "another parameter, or upstream.extra_search_parameters if the FHIR server has this one",
    Reason.PARAMETER_EMPTY: "a value for the parameter",
    Reason.PARAMETER_REPEATED: "the parameter once",
    Reason.PARAMETER_INVALID: "a value that R4 defines for the parameter",
    Reason.MODIFIER_UNKNOWN: "a modifier that R4 defines for the type of the parameter, or none",
    Reason.METHOD_NOT_ALLOWED: "a method that R4 defines for the path",
    Reason.METHOD_OVERRIDE_REFUSED: "the method itself instead of a header",
    Reason.TOKEN_IN_QUERY: "the token in the Authorization header",
    Reason.FORMAT_NOT_ACCEPTABLE: "Accept: application/fhir+json",
    Reason.MEDIA_TYPE_UNSUPPORTED: "Content-Type: application/x-www-form-urlencoded for a search, "
    "application/fhir+json for a resource",
    Reason.REQUEST_TOO_LARGE: "a smaller request; limits.max_request_body_bytes for its body, "
    "limits.max_binary_bytes for raw content",
    Reason.REQUEST_TOO_SLOW: "a faster connection; overload.transfer_seconds and overload.transfer_bytes_per_second",
    Reason.BODY_MALFORMED: "one resource of FHIR R4 in JSON, with each member once",
    Reason.PARAMETER_MISSING: "the request with the parameter that the response names",
    Reason.BUNDLE_MALFORMED: "a Bundle with the type batch or transaction, and a request in each of its entries",
    Reason.BODY_MISSING: "the resource, or the operations of the patch, as the body",
    Reason.BODY_INCOMPLETE: "the whole body, without pauses",
    Reason.BODY_MEMBER_REPEATED: "each member once",
    Reason.BODY_TOO_DEEP: "a resource with fewer levels",
    Reason.BODY_NOT_A_RESOURCE: "one JSON object with a resourceType of R4",
    Reason.BODY_TYPE_MISMATCH: "a resource of the type that the path names",
    Reason.BODY_ID_MISMATCH: "a resource with the id that the path names",
    Reason.BODY_NESTED_RESOURCE: "resources in contained only",
    Reason.PRECONDITION_INVALID: "If-Match with one version for updates, patches and deletes; If-None-Match: * for "
    "updates; If-None-Exist for creates",
    Reason.PRECONDITION_MISSING: "If-Match with the ETag of the last response",
    Reason.APP_STATE_INVALID: "a Basic with one coding, at most one subject by its absolute address, and extensions "
    "with valueString alone",
    Reason.PATCH_FORMAT_UNSUPPORTED: "Content-Type: application/json-patch+json, or an update",
    Reason.PATCH_MALFORMED: "a list of operations as RFC 6902 defines them",
    Reason.PATCH_NOT_APPLICABLE: "operations whose paths and tests fit the resource as it is now",
    Reason.SCOPE_INSUFFICIENT: "a scope for the type with the letter: r for reads, s for searches, c to create, "
    "u to change, d to delete",
    Reason.PATIENT_CONTEXT_MISSING: "a launch with a patient, or issuers[].claims.patient with the claim that names it",
    Reason.PATIENT_CONTEXT_INVALID: "a patient claim that is a single id; issuers[].claims.patient names the claim",
    Reason.USER_REACH_UNKNOWN: "a fhirUser that is a Patient, RelatedPerson or practitioner of this FHIR server; "
    "issuers[].claims.fhir_user names the claim, compartments.practitioner_reach says what practitioners see",
    Reason.TYPE_OUT_OF_REACH: "compartments.extra_membership or compartments.shared_types with the type, "
    "or a scope of another context",
    Reason.OUT_OF_REACH: "a token whose patient or user the record belongs to; compartments.membership decides",
    Reason.RECORD_WITHHELD: "a token with a role, purpose of use or scope that record_rules.security_labels names, or "
    "another rule in record_rules.site_rules",
    Reason.SEARCH_BY_ID_ONLY: "a search by _id, or compartments.searchable_shared_types with the type",
    Reason.PARAMETER_OUT_OF_REACH: "a scope for the type that the parameter looks into, without constraints",
    Reason.PARAMETER_REFUSED: "the search without the parameter; no setting allows it",
    Reason.COUNT_NOT_EXACT: "the search without _summary=count and _count=0, or scopes without differing constraints",
    Reason.SEARCH_NOT_NARROWED: "compartments.search_without_narrowing: allow, a search by _id, or a FHIR server that "
    "declares the parameter",
    Reason.INTERACTION_NOT_SUPPORTED: "reads, searches and histories; "
    "upstream.compartment_search for all types of a compartment",
    Reason.OPERATION_NOT_ALLOWED: "reads and searches instead; the setting operations adds what the manifest lacks",
    Reason.WRITES_OFF: "the setting writes.allow: true",
    Reason.WRITE_FORBIDDEN: "the setting writes.never without this type or resource",
    Reason.WRITE_OUT_OF_REACH: "a resource that is about the patient of the token alone and satisfies the constraint "
    "of the same scope",
    Reason.LABELS_CHANGED: "the same meta.security and meta.tag as stored, or a role or scope that "
    "record_rules.security_labels.changing_roles or changing_scopes names",
    Reason.REACH_EXTENDED: "a change that ends the record, or that leaves alone whom it names, its status and its "
    "period; writes.change_own_reach decides",
    Reason.REFERENCE_OUT_OF_REACH: "references to records of the same patient; writes.check_references decides",
    Reason.REFERENCE_REFUSED: "references such as Patient/123, without criteria",
    Reason.BINARY_NOT_VOUCHED: "securityContext (of raw content: X-Security-Context) with the patient of the token or "
    "a record of theirs, or a transaction with a resource that points at the Binary",
    Reason.PATCH_TEST_REFUSED: "a scope with r for the resource, or a patch that adds, replaces or removes whole "
    "elements; writes.patch_unread decides",
    Reason.PRECONDITION_FAILED: "the request again, with the current version",
    Reason.SEVERAL_MATCHES: "criteria that match one resource, or its id",
    Reason.VERSION_UNKNOWN: "a FHIR server that gives meta.versionId, or writes.accept_races",
    Reason.RACE_NOT_EXCLUDED: "a FHIR server that declares conditional deletes and the parameters that narrow them, "
    "or writes.accept_races",
    Reason.CREATION_NOT_EXCLUSIVE: "a create, whose id the FHIR server assigns, or writes.accept_races",
    Reason.PAGE_UNKNOWN: "the search once more with the same token; paging.key for several processes, "
    "paging.lifetime_seconds for how long",
    Reason.PAGE_STORE_UNAVAILABLE: "a smart_server.store that answers, or a shorter search",
    Reason.EXPORT_UNKNOWN: "the export once more with the same scopes; paging.key for several processes, "
    "bulk_export.link_lifetime_seconds for how long",
    Reason.APP_STATE_OUT_OF_REACH: "a code of the app (clients[].app_state), and as the subject the patient of the "
    "token with a patient/ scope, or its user with a user/ scope",
    Reason.APP_STATE_FULL: "fewer or shorter states; app_state.max_resources and app_state.max_total_bytes",
    Reason.APP_STATE_UNAVAILABLE: "a smart_server.store that answers; then a search for what is stored",
    Reason.NOT_FOUND: "the id of a record that exists and belongs to the patient or user of the token",
    Reason.UPSTREAM_UNREACHABLE: "a FHIR server that answers at upstream.base_url",
    Reason.UPSTREAM_TIMEOUT: "a faster FHIR server, or upstream.pool.read_timeout_seconds and total_timeout_seconds",
    Reason.UPSTREAM_MALFORMED: "a FHIR server that responds in valid FHIR R4 JSON; the log has the details",
    Reason.UPSTREAM_TOO_LARGE: "a smaller _count, or upstream.max_verified_body_bytes",
    Reason.UPSTREAM_LINK_UNUSABLE: "upstream.aliases with the base that the FHIR server writes into its links",
    Reason.EXPORT_URL_REFUSED: "upstream.aliases with the FHIR server's own base, or bulk_export.file_bases with that "
    "of the storage where its export files are; the log has the host",
    Reason.UPSTREAM_VERSION_UNSUPPORTED: "upstream.base_url with a FHIR R4 endpoint of the server",
    Reason.UPSTREAM_REFUSED: "credentials that the FHIR server accepts: upstream.authentication",
    Reason.UPSTREAM_REJECTED: "a request that the FHIR server supports; its CapabilityStatement says what it does",
    Reason.UPSTREAM_CONFLICT: "the other resources changed first; the FHIR server's log names them",
    Reason.UPSTREAM_FAILED: "the log of the FHIR server",
    Reason.AUDIT_UNAVAILABLE: "a sink of audit.events that takes what waits, a larger audit.events.spool_bytes, or "
    "audit.events.when_full: drop",
    Reason.TOO_MANY_REQUESTS: "fewer requests of this client at once; overload.requests_per_client, "
    "overload.requests_per_address and upstream.pool.connections_per_client",
    Reason.CLIENT_GONE: "a client that waits for its answers; upstream.pool.connections if it waits in vain",
    Reason.OVERLOADED: "the request again, later; upstream.pool.connections, upstream.pool.queue and overload.requests",
    Reason.INTERNAL_ERROR: "a report of the lines of the log with this decision id",
}
