"""Settings of the User-Access Brands: by what names and logos users know whose records these are."""

from typing import Annotated

from pydantic import Field, FilePath

from gateway.fhir.resources.brand_bundle import BrandIdentifier
from gateway.settings.section import Section
from gateway.settings.setting_types import Text, Word

BRANDS_PATH = ".well-known/user-access-brands.json"
"""Where the bundle is, below the FHIR base."""


class OwnBrand(Section):
    """Which brand of the bundle is this server's."""

    system: Annotated[Word | None, Field(description="Its system, `urn:ietf:rfc:3986` where the value is a URL.")] = (
        None
    )
    value: Annotated[
        Text, Field(description="Its value, such as `https://hospital.example`: the main website without `www.`.")
    ]

    def identifier(self) -> BrandIdentifier:
        """The identifier, for the check of the bundle."""
        return BrandIdentifier(self.value, self.system)


class UserAccessBrands(Section):
    """The bundle of brands that the gateway publishes. Apps show them to users who look for their hospital."""

    bundle: Annotated[
        FilePath,
        Field(
            description="The Bundle in JSON, of at most 5 MB, with an Organization for each brand and an Endpoint with "
            "the address public_base_url. It is read and checked at start, and served below the FHIR base as "
            "`.well-known/user-access-brands.json`."
        ),
    ]
    identifier: Annotated[
        OwnBrand | None,
        Field(
            description="An identifier that one Organization of the bundle has: the brand of this server. Needed where "
            "there are several."
        ),
    ] = None

    def discovery_members(self, base: str) -> dict[str, object]:
        """What `.well-known/smart-configuration` says of the bundle (D-20). `base` is the FHIR base."""
        members: dict[str, object] = {"user_access_brand_bundle": f"{base}/{BRANDS_PATH}"}
        if self.identifier is not None:
            members["user_access_brand_identifier"] = self.identifier.model_dump(exclude_none=True)
        return members
