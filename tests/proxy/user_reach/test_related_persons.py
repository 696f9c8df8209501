"""A user with several children: one RelatedPerson for each, found by a Person or an identifier that they share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.leaked_marks import is_refused, refusal_reason
from tests.proxy.running_gateway import running_gateway
from tests.proxy.scripted_server import ABSENT, ScriptedResponse, bundle, make_resource, scripted_server
from tests.servers.people import Resource

ACCOUNT = "https://login.example/accounts"
USER = {"fhirUser": "RelatedPerson/r", "patient": None}
BY_PERSON: Any = {"further_related_persons": "person"}
BY_IDENTIFIER: Any = {
    "further_related_persons": "identifier",
    "related_person_identifier_systems": [ACCOUNT],
}


def related(name: str, patient: str, /, account: str = "mum", **members: Any) -> Resource:
    identifier = [{"system": ACCOUNT, "value": account}]
    patient_reference = {"reference": f"Patient/{patient}"}
    return make_resource("RelatedPerson", name, patient=patient_reference, identifier=identifier, **members)


def person(*targets: str, **members: Any) -> Resource:
    return make_resource(
        "Person", "p", link=[{"target": {"reference": f"RelatedPerson/{target}"}} for target in targets], **members
    )


OWN, OTHER_CHILD = related("r", "pat-a"), related("s", "pat-b")
ENDED: Any = {"period": {"end": "2020-01-01"}}
REACH: dict[str, tuple[Any, list[Resource], set[str]]] = {
    "the token's own alone": ({}, [OWN, OTHER_CHILD, person("r", "s")], {"pat-a"}),
    "two whom a person links": (BY_PERSON, [OWN, OTHER_CHILD, person("r", "s")], {"pat-a", "pat-b"}),
    "a person that links others": (BY_PERSON, [OWN, OTHER_CHILD, person("s")], {"pat-a"}),
    "a person that is not active": (BY_PERSON, [OWN, OTHER_CHILD, person("r", "s", active=False)], {"pat-a"}),
    "a linked one that has ended": (
        BY_PERSON,
        [OWN, related("s", "pat-b", **ENDED), person("r", "s")],
        {"pat-a"},
    ),
    "a person without further links": (BY_PERSON, [OWN, OTHER_CHILD, person("r")], {"pat-a"}),
    "two of one account": (BY_IDENTIFIER, [OWN, OTHER_CHILD], {"pat-a", "pat-b"}),
    "one of another account": (BY_IDENTIFIER, [OWN, related("s", "pat-b", account="dad")], {"pat-a"}),
    "two without an account": (
        BY_IDENTIFIER,
        [{**OWN, "identifier": [{"system": ACCOUNT}]}, {**OTHER_CHILD, "identifier": [{"system": ACCOUNT}]}],
        {"pat-a"},
    ),
    "an account of a system that does not count": (
        {**BY_IDENTIFIER, "related_person_identifier_systems": ["https://insurance.example"]},
        [OWN, OTHER_CHILD],
        {"pat-a"},
    ),
    "a token's own that has ended": (BY_IDENTIFIER, [related("r", "pat-a", **ENDED), OTHER_CHILD], set()),
    "a token's own that is not active": ({}, [related("r", "pat-a", active=False)], set()),
}


@pytest.mark.parametrize(("compartments", "records", "reached"), REACH.values(), ids=REACH)
async def test_a_user_reaches_the_patients_of_every_related_person_that_holds(
    tmp_path: Path, compartments: Any, records: list[Resource], reached: set[str]
) -> None:
    """The server ignores every parameter."""

    def script(path: str, query: str, _: Mapping[str, str]) -> ScriptedResponse:
        resource_type, _slash, resource_id = path.partition("/")
        if resource_type == "Patient" and resource_id:
            return 200, make_resource("Patient", resource_id), {}
        found = [record for record in records if record["resourceType"] == resource_type]
        if not resource_id:
            return 200, bundle(*found), {}
        named = [record for record in found if record["id"] == resource_id]
        return (200, named[0], {}) if named else ABSENT

    async with (
        scripted_server(script) as server,
        running_gateway(server.base_url, tmp_path, compartments=compartments) as gateway,
    ):
        for patient in ("pat-a", "pat-b"):
            response = await gateway.request(f"/Patient/{patient}", "user/*.rs", claims=USER)
            assert (response.status_code == 200) is (patient in reached), patient
            if not reached:
                assert is_refused(response, 403, "user_reach_unknown")
        if compartments:
            body = {"resourceType": "RelatedPerson", "patient": {"reference": "Patient/pat-a"}}
            written = await gateway.request(
                "/RelatedPerson", "user/*.cruds", method="POST", claims=USER, json=body,
                headers={"content-type": "application/fhir+json"},
            )  # fmt: skip
            assert written.status_code == 403
            assert refusal_reason(written) != "user_reach_unknown" or not reached
