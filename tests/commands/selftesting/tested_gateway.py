"""A gateway in a process of its own, in front of sekmet and with Redis, and what is stored behind it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2

from gateway.commands.selftesting.check_results import CheckResult, CheckResults, Outcome
from gateway.commands.selftesting.run import SelfTest, Target
from tests.commands.serving_process import ServingProcess, serving_process
from tests.servers.process import Server
from tests.servers.sekmet import start_sekmet
from tests.servers.valkey import standalone

ADMIN_TOKEN = "an-admin-token-of-the-self-test"
_TYPES = ("Patient", "Observation", "Condition", "Binary", "Encounter", "Provenance", "Group")


@dataclass(frozen=True)
class TestedGateway:
    """The gateway, and the FHIR server behind it."""

    __test__ = False

    process: ServingProcess
    sekmet: Server

    def target(self, **changes: Any) -> Target:
        """What the self-test is told, with the admin token and little patience."""
        given = {"base": self.process.base_url, "admin_token": ADMIN_TOKEN, "seconds": 120.0, "patience": 60.0}
        return Target(**{**given, **changes})

    def stored(self) -> dict[str, Any]:
        """What is stored: the ids of all records with their versions, and the apps and users of the gateway."""
        found: dict[str, Any] = {}
        with httpx2.Client(trust_env=False, timeout=60) as http:
            for kind in _TYPES:
                bundle = http.get(f"{self.sekmet.base_url}/{kind}?_count=500&_elements=id,meta").json()
                for entry in bundle.get("entry", ()):
                    resource = entry["resource"]
                    found[f"{kind}/{resource['id']}"] = resource["meta"].get("versionId")
            headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
            for kind in ("clients", "users"):
                found[kind] = http.get(f"{self.process.root}/auth/admin/{kind}", headers=headers).json()
        return found

    def remove_leftovers(self) -> None:
        """Remove what a self-test was kept from removing."""
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        with httpx2.Client(trust_env=False, timeout=60) as http:
            for kind in ("Observation", "Condition", "Binary", "Patient"):
                url = f"{self.sekmet.base_url}/{kind}"
                bundle = http.get(f"{url}?_tag=urn:smart-fhir-gateway:selftest%7C&_count=500").json()
                for entry in bundle.get("entry", ()):
                    http.delete(f"{url}/{entry['resource']['id']}").raise_for_status()
            admin = f"{self.process.root}/auth/admin"
            for client in http.get(f"{admin}/clients", headers=headers).json()["clients"]:
                if client["client_id"].startswith("selftest-"):
                    http.delete(f"{admin}/clients/{client['client_id']}?remove=true", headers=headers)
            for user in http.get(f"{admin}/users", headers=headers).json()["users"]:
                if user["user"].startswith("selftest-"):
                    http.post(f"{admin}/users/remove", headers=headers, json={"user": user["user"]})


@contextlib.asynccontextmanager
async def tested_gateway(**settings: Any) -> AsyncIterator[TestedGateway]:
    """A gateway that lets apps and users be added, until the block ends. `settings` are added to its own."""
    with start_sekmet() as sekmet, standalone() as store:
        smart = {"admin_token": ADMIN_TOKEN, "store": store.url}
        async with serving_process(sekmet.base_url, {"smart_server": smart, **settings}) as process:
            yield TestedGateway(process, sekmet)


def run_selftest(target: Target, *, is_short: bool = False) -> list[CheckResult]:
    """The results of a self-test."""
    results = CheckResults(lambda result: None)
    SelfTest(target, results).check(is_short=is_short)
    return results.results


def sentences(results: list[CheckResult], outcome: Outcome) -> list[str]:
    """The checks with this outcome."""
    return [f"{result.family}: {result.sentence}" for result in results if result.outcome is outcome]
