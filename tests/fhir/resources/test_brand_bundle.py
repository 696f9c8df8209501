"""Which bundles of brands may be published (checklist UB)."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.fhir.resources.brand_bundle import BadBrandBundleError, BrandIdentifier, check_brand_bundle
from tests.fhir.resources.brand_bundles import BASE, brand_bundle

HOSPITAL = BrandIdentifier("https://hospital.example", "urn:ietf:rfc:3986")
_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def _check(bundle: Any, identifier: BrandIdentifier | None = HOSPITAL) -> None:
    check_brand_bundle(orjson.dumps(bundle), identifier, BASE)


@pytest.mark.requirement("UB-13", "UB-14", "UB-15")
def test_a_bundle_by_the_profiles_may_be_published() -> None:
    _check(brand_bundle())


def _set(index: int, **members: Any) -> Callable[[dict[str, Any]], None]:
    return lambda bundle: bundle["entry"][index]["resource"].update(members)


def _absent(reason: str) -> dict[str, Any]:
    return {"extension": [{"url": _ABSENT, "valueCode": reason}]}


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another type": (lambda bundle: bundle.update(type="searchset"), "collection"),
    "no time": (lambda bundle: bundle.pop("timestamp"), "UB-7"),
    "a time without a zone": (lambda bundle: bundle.update(timestamp="2026-01-31T10:00:00"), "UB-7"),
    "meta without a time": (lambda bundle: bundle.update(meta={}), "UB-13"),
    "a Patient": (lambda bundle: bundle["entry"].append({"resource": {"resourceType": "Patient", "id": "1"}}), "UB-13"),
    "an id twice": (lambda bundle: bundle["entry"].append(bundle["entry"][0]), "UB-13"),
    "an entry that is no object": (lambda bundle: bundle["entry"].append(7), "UB-13"),
    "no name": (_set(0, name=""), "Organization/hospital must have a name"),
    "two websites": (_set(0, telecom=[{"system": "url", "value": "https://a.example"}] * 2), "UB-14"),
    "a category of its own": (_set(0, type=[{"coding": [{"code": "team"}]}]), "UB-14"),
    "a foreign endpoint": (_set(0, endpoint=[{"reference": "https://x.example/Endpoint/r4"}]), "of this bundle"),
    "a portal with an endpoint that the brand has not": (_set(0, endpoint=[]), "portal"),
    "a parent that is not there": (_set(1, partOf={"reference": "Organization/other"}), "partOf"),
    "a circle of parents": (_set(0, partOf={"reference": "Organization/clinic"}), "at most 2 steps"),
    "an endpoint of no brand": (_set(0, endpoint=[], extension=[]), "UB-6"),
    "an endpoint without a status": (_set(2, status=None), "status"),
    "an endpoint that is no FHIR": (_set(2, connectionType={"code": "dicom"}), "connectionType"),
    "an endpoint with a payload": (_set(2, payloadType=[{"coding": [{"code": "any"}]}]), "payloadType"),
    "an endpoint without developers": (_set(2, contact=[]), "contact"),
    "an endpoint without a version": (_set(2, extension=[]), "endpoint-fhir-version"),
    "an endpoint elsewhere": (_set(2, address="https://other.example/fhir"), f"no Endpoint has the address {BASE}"),
    "another reason for what is missing": (_set(0, _name=_absent("masked")), "UB-12"),
}


@pytest.mark.requirement("UB-5", "UB-6", "UB-7", "UB-12", "UB-13", "UB-14", "UB-15")
@pytest.mark.parametrize(("spoil", "problem"), BAD.values(), ids=BAD)
def test_a_bundle_against_the_profiles_is_refused(spoil: Callable[[dict[str, Any]], Any], problem: str) -> None:
    bundle = brand_bundle()
    spoil(bundle)
    with pytest.raises(BadBrandBundleError) as error:
        _check(bundle)
    assert problem in str(error.value)


@pytest.mark.requirement("UB-12")
def test_who_was_asked_may_decline() -> None:
    bundle = brand_bundle()
    _set(1, name=None, _name=_absent("asked-declined"))(bundle)
    _check(bundle)


@pytest.mark.requirement("UB-3", "UB-5", "edge-158")
@pytest.mark.parametrize(
    ("identifier", "problem"),
    [
        (None, "UB-3"),
        (BrandIdentifier("https://other.example", "urn:ietf:rfc:3986"), "0 times"),
        (BrandIdentifier("https://hospital.example"), "0 times"),
    ],
    ids=["none", "of no brand", "of another system"],
)
def test_one_of_several_brands_is_named(identifier: BrandIdentifier | None, problem: str) -> None:
    with pytest.raises(BadBrandBundleError, match=problem):
        _check(brand_bundle(), identifier)


@pytest.mark.requirement("UB-5")
def test_an_identifier_of_two_brands_names_none() -> None:
    bundle = brand_bundle()
    _set(1, identifier=[{"system": HOSPITAL.system, "value": HOSPITAL.value}])(bundle)
    with pytest.raises(BadBrandBundleError, match="2 times"):
        _check(bundle)


@pytest.mark.requirement("UB-3")
def test_a_single_brand_needs_no_name() -> None:
    bundle = brand_bundle()
    del bundle["entry"][1]
    _check(bundle, None)


def test_a_deep_file_is_an_error_like_any_other() -> None:
    with pytest.raises(BadBrandBundleError):
        check_brand_bundle(b"[" * 5000 + b"]" * 5000, None, BASE)
    with pytest.raises(BadBrandBundleError, match="allowed"):
        check_brand_bundle(b" " * (5 * 1024 * 1024 + 1), None, BASE)
