"""The OpenAPI description of the API, written from its operations and the types that they take and return."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, cast

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.admin.api.operation import Operation
from gateway.admin.api.problem import PROBLEM_TYPE, Problem
from gateway.settings.authorization.clients import ClientEntry
from gateway.settings.authorization.smart_server import LocalUserEntry

_SCHEMAS = "#/components/schemas/"
_PARAMETER = re.compile(r"{(\w+)}")
_ABOUT = """\
The API of the admin port (settings `admin`). Programs send a bearer token of `admin.tokens`. Browsers sign in by
`POST /session`, and send the token of their session in the header `x-csrf-token` with each change. Auditors may read;
operators may change things as well. Errors are those of RFC 9457, with a stable `code`.
"""
# What every operation that somebody must be signed in for may answer.
_COMMON_REFUSALS = (400, 429, 503)
_CALLER_REFUSALS = (401, 403)


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """The description, of OpenAPI 3.1."""
    listed = tuple(operations)
    types = [Problem, *(kind for one in listed for kind in (one.answer, one.body) if _is_named(kind))]
    queries = {one.query for one in listed}
    _, components = msgspec.json.schema_components([*types, *queries], ref_template=_SCHEMAS + "{name}")
    schemas = {name: schema for name, schema in components.items() if name not in {q.__name__ for q in queries}}
    paths: dict[str, dict[str, Any]] = {}
    for operation in listed:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(operation, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "smart-fhir-gateway: administration", "version": version("smart-fhir-gateway"),
                 "description": _ABOUT},
        "servers": [{"url": "/api"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted({**schemas, **_setting_schemas()}.items())),
            "responses": {"WrongHost": {
                "description": "The request came under another name (admin.base_url)", "content": {"text/plain": {}}
            }},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of `admin.tokens`."},
                "session": {"type": "apiKey", "in": "cookie", "name": "smart-admin",
                            "description": "The cookie of a session; with https, its name begins with `__Host-`."},
            },
        },
    }  # fmt: skip


def _describe(operation: Operation, components: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "security": [] if operation.needs is None else [{"token": []}, {"session": []}],
        "parameters": [*_path_parameters(operation.path), *_query_parameters(components[operation.query.__name__])],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        name = operation.body_schema or operation.body.__name__
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": _reference(name)}}}
    return described


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in _PARAMETER.findall(path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(schema: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for name, member in schema["properties"].items():
        kinds = [kind for kind in member.get("anyOf", ()) if kind != {"type": "null"}]
        shown = dict(kinds[0]) if kinds else dict(member)
        if shown.get("default") is None:
            shown.pop("default", None)
        description = shown.pop("description", None)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": shown}
        yield parameter if description is None else {**parameter, "description": description}


def _responses(operation: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        schema, _ = msgspec.json.schema_components([operation.answer], ref_template=_SCHEMAS + "{name}")
        answer["content"] = {"application/json": {"schema": schema[0]}}
    caller = () if operation.needs is None else _CALLER_REFUSALS
    sized = (413,) if operation.body is not None else ()
    refusals = sorted({*_COMMON_REFUSALS, *caller, *sized, *operation.refusals})
    return {
        str(operation.status): answer,
        **{str(status): _problem(status) for status in refusals},
        "421": {"$ref": "#/components/responses/WrongHost"},
    }


def _problem(status: int) -> dict[str, Any]:
    content = {PROBLEM_TYPE: {"schema": _reference("Problem")}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _setting_schemas() -> dict[str, Any]:
    """The entries of apps and users, as the settings describe them."""
    models = [(cast("type[BaseModel]", model), cast("Any", "validation")) for model in (ClientEntry, LocalUserEntry)]
    _, definitions = models_json_schema(models, ref_template=_SCHEMAS + "{model}")
    schemas: dict[str, Any] = definitions["$defs"]
    client, user = schemas.pop("ClientEntry"), schemas.pop("LocalUserEntry")
    members = client["properties"]
    changes = {name: {"anyOf": [schema, {"type": "null"}]} for name, schema in members.items() if name != "client_id"}
    profile = {name: user["properties"][name] for name in ("name", "fhir_user", "roles")}
    password = {"type": "string", "minLength": 1, "maxLength": 1000}
    return {
        **schemas,
        "NewClient": {**_entry("An app.", members), "required": ["name"]},
        "ClientChanges": _entry("Members of an app to change.", {**changes, "disabled": {"type": "boolean"}}),
        "NewUser": {
            **_entry("A user, with `password` or `password_hash`.", {**user["properties"], "password": password}),
            "required": ["username", "name"],
            "anyOf": [{"required": ["password"]}, {"required": ["password_hash"]}],
        },
        "UserChanges": _entry("Members of a user to change.", profile),
    }


def _entry(description: str, members: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "description": description, "properties": dict(members), "additionalProperties": False
    }  # fmt: skip


def _is_named(kind: Any) -> bool:
    return kind is not None and kind != dict[str, Any]


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _SCHEMAS + name}
