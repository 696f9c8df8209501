"""The records of the oracle as FHIR resources, and its requests as HTTP has them."""

import itertools
import re
from dataclasses import dataclass
from typing import Any

from tests.proxy.bundles.bundles import entry, patch_binary
from tests.proxy.oracle.world import PATIENTS, Action, Bundle, Key, Record
from tests.servers.people import Resource

METHODS = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}
SYSTEM = "urn:oracle"


@dataclass(frozen=True)
class Request:
    """One request as it is sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


class Names:
    """The ids of the server for the names of the oracle.

    A `prefix` keeps the records of examples apart. Then each content is another one as well: common servers make no new
    version of what they have already.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self._contents = itertools.count()
        self._ids: dict[Key, str] = {}
        self._names: dict[Key, str] = {}

    def id_of(self, key: Key) -> str:
        """The id of a record."""
        return self._ids.get(key) or (key[1] if key[0] in {"Patient", "Location"} else self.prefix + key[1])

    def name_of(self, key: Key) -> str:
        """The name of the record that has the id."""
        return self._names.get(key) or key[1].removeprefix(self.prefix)

    def learn(self, key: Key, resource_id: str) -> None:
        """The server has chosen the id of a new record."""
        self._ids[key] = resource_id
        self._names[key[0], resource_id] = key[1]

    def to_resource(self, key: Key, record: Record) -> Resource:
        """The record as a resource; without an id if the name is empty."""
        resource_type, name = key
        resource: dict[str, Any] = {"resourceType": resource_type, **({"id": self.id_of(key)} if name else {})}
        if resource_type == "Binary":
            return resource | self._to_binary(record)
        if resource_type == "Encounter":
            resource |= {"status": "finished", "class": {"code": "AMB"}}
        else:
            resource |= {"status": "final", "code": {"text": "x"}}
        for element in record:
            resource[element if element != "performers" else "performer"] = self._to_element(element, record[element])
        return {**resource, **self._mark()}

    def _to_binary(self, record: Record) -> Resource:
        resource: dict[str, Any] = {"contentType": "text/plain", "data": record["data"]}
        owner = record.get("owner")
        if owner is not None:
            owner_type = "Patient" if owner in PATIENTS else "Encounter"
            resource["securityContext"] = _refer(owner_type, self.id_of((owner_type, owner)))
        return resource

    def _read_binary(self, resource: Resource) -> Record:
        record = {"data": resource["data"]}
        if "securityContext" in resource:
            owner_type, owner_id = resource["securityContext"]["reference"].split("/")[-2:]
            record["owner"] = self.name_of((owner_type, owner_id))
        return record

    def _mark(self) -> Resource:
        return {"text": _narrative(next(self._contents))} if self.prefix else {}

    def to_patch(self, change: Record) -> list[Resource]:
        """A JSON Patch that sets elements."""
        return [
            {"op": "add", "path": f"/{element}", "value": self._to_element(element, value)}
            for element, value in change.items()
        ] + [{"op": "add", "path": f"/{element}", "value": value} for element, value in self._mark().items()]

    def _to_element(self, element: str, value: Any) -> Any:
        match element:
            case "subject":
                return _refer("Location" if value == "room" else "Patient", value)
            case "performers":
                return [_refer("Patient", one) for one in value]
            case "encounter":
                return _refer("Encounter", self.id_of(("Encounter", value)))
            case "category":
                return [{"coding": [{"code": value}]}]
            case _:
                return [{"system": SYSTEM + self.prefix, "value": value}]

    def read(self, resource: Resource) -> tuple[Key, Record]:
        """The address and the record of a resource; what the server adds is left out."""
        key = (resource["resourceType"], resource["id"])
        if key[0] == "Binary":
            return ("Binary", self.name_of(key)), self._read_binary(resource)
        record: dict[str, Any] = {"subject": _last_part(resource["subject"]), "identifier": _value(resource)}
        if "category" in resource:
            record["category"] = resource["category"][0]["coding"][0]["code"]
        if resource.get("performer"):
            record["performers"] = tuple(_last_part(one) for one in resource["performer"])
        if "encounter" in resource:
            record["encounter"] = self.name_of(("Encounter", _last_part(resource["encounter"])))
        return (key[0], self.name_of(key)), record


def normalise(record: Record | None) -> Record | None:
    """The record in one order, and without elements that are empty, which FHIR does not have."""
    return None if record is None else {name: record[name] for name in sorted(record) if record[name] != ()}


def _narrative(number: int) -> Resource:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{number}</div>'}


def _refer(resource_type: str, resource_id: str) -> Resource:
    return {"reference": f"{resource_type}/{resource_id}"}


def _last_part(reference: Resource) -> str:
    return re.split("/", reference["reference"])[-1]


def _value(resource: Resource) -> str:
    assert len(resource["identifier"]) == 1
    return str(resource["identifier"][0]["value"])


def to_request(action: Action, names: Names, current_version: str | None) -> Request:
    """A request by itself. `current_version` is that of the record, if there is one."""
    key, headers, body = action.key, dict[str, str](), None
    path = f"/{action.resource_type}"
    if action.name and action.kind != "search":
        path += f"/{names.id_of(key)}"
    criteria = f"identifier={SYSTEM}{names.prefix}|{action.identifier}"
    match action.kind:
        case "search":
            pairs = ([f"_id={names.id_of(key)}"] if action.name else []) + ([criteria] if action.identifier else [])
            return Request("GET", path + "?" + "&".join(pairs), headers)
        case "version":
            return Request("GET", f"{path}/_history/{action.version}", headers)
        case "history" | "type history":
            return Request("GET", f"{path}/_history", headers)
        case "read" | "meta" | "everything":
            return Request("GET", path + {"read": ""}.get(action.kind, f"/${action.kind}"), headers)
        case "validate":
            return Request("POST", f"{path}/$validate", headers, names.to_resource((key[0], ""), action.content or {}))
    if action.kind == "create" and action.identifier:
        headers["if-none-exist"] = criteria
    elif action.identifier:
        path += f"?{criteria}"
    if action.is_current is not None:
        headers["if-match"] = f'W/"{(current_version or "1") if action.is_current else "999"}"'
    if action.content is not None:
        body = names.to_patch(action.content) if action.kind == "patch" else names.to_resource(key, action.content)
    return Request(METHODS[action.kind], path, headers, body)


_CONDITIONS = {"if-match": "ifMatch", "if-none-exist": "ifNoneExist"}


def to_bundle(bundle: Bundle, requests: list[Request]) -> Resource:
    """The requests as entries of one Bundle."""
    entries = [
        entry(
            request.method,
            request.path.removeprefix("/"),
            patch_binary(request.body) if request.method == "PATCH" else request.body,
            **{_CONDITIONS[name]: value for name, value in request.headers.items()},
        )
        for request in requests
    ]
    return {"resourceType": "Bundle", "type": bundle.kind, "entry": entries}
