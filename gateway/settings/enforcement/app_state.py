"""Settings of app state: what apps may keep here for themselves, and which codes an app may use."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.fhir.app_state.state_codes import StateCodes, StateUse
from gateway.settings.section import Section
from gateway.settings.setting_types import BaseUrl, Count, Text, Word

_SMALLEST = 256 * 1024
_USES = {"none": StateUse.NONE, "query": StateUse.QUERY, "modify": StateUse.MODIFY}


class AppStateCodes(Section):
    """Codes of app state that an app is trusted with."""

    system: Annotated[Word, Field(description="Their system, such as `https://app.example.org`.")]
    code: Annotated[Text | None, Field(description="The code; without it, all codes of the system.")] = None
    access: Annotated[
        Literal["query", "modify"],
        Field(description="What it may do with state about the patient or the user of its token."),
    ] = "modify"
    global_access: Annotated[
        Literal["none", "query", "modify"],
        Field(
            description="What it may do with state without a subject, which all users share; `modify` is for apps of "
            "administrators."
        ),
    ] = "query"

    def codes(self) -> StateCodes:
        """The codes as decisions need them."""
        return StateCodes(self.system, self.code, _USES[self.access], _USES[self.global_access])


class AppState(Section):
    """What apps may keep here for themselves, in smart_server.store instead of the FHIR server."""

    base_url: Annotated[
        BaseUrl | None,
        Field(description="Where it is, as apps see it; without it, `/app-state` on the host of public_base_url."),
    ] = None
    max_resource_bytes: Annotated[
        Count,
        Field(ge=_SMALLEST, description="How large one resource may be. SMART lets apps rely on 256 KB."),
    ] = _SMALLEST
    max_resources: Annotated[
        Count,
        Field(le=1000, description="How many resources there may be of one system of codes about one subject."),
    ] = 50
    max_total_bytes: Annotated[
        Count,
        Field(
            ge=2 * _SMALLEST, le=16 * 1024 * 1024, description="How much these may have together, as they are stored."
        ),
    ] = 1024 * 1024
    keep_days: Annotated[
        Count | None,
        Field(
            description="How long state is kept after the last change of any state of the same system and subject; "
            "without it, until an app deletes it."
        ),
    ] = None
