"""The name of an interaction, as metrics, audit lines and explanations show it."""

from typing import assert_never

from gateway.fhir.request import interaction as fhir


def interaction_name(interaction: fhir.RecordedInteraction | None) -> str:
    """The code from FHIR's value set restful-interaction, or a name of our own where it has none.

    `none` stands for a request that has no interaction.
    """
    match interaction:
        case None:
            return "none"
        case fhir.Read():
            return "read"
        case fhir.TypeSearch():
            return "search-type"
        case fhir.VRead():
            return "vread"
        case fhir.InstanceHistory():
            return "history-instance"
        case fhir.TypeHistory():
            return "history-type"
        case fhir.SystemHistory():
            return "history-system"
        case fhir.CompartmentSearch():
            return "search-compartment"
        case fhir.SystemSearch():
            return "search-system"
        case fhir.PagingLink():
            return "page"
        case fhir.Capabilities():
            return "capabilities"
        case fhir.Write(kind=kind):
            return kind.value
        case fhir.BatchOrTransaction(kind=bundle_kind):
            return bundle_kind.value
        case fhir.Operation():
            return "operation"
        case fhir.ExportKickoff():
            return "export"
        case fhir.ExportStatus():
            return "export-status"
        case fhir.ExportCancel():
            return "export-cancel"
        case fhir.ExportFile():
            return "export-file"
        case fhir.AppStateRequest(request=request):
            return "app-state-search" if isinstance(request, fhir.TypeSearch) else f"app-state-{request.kind}"
    assert_never(interaction)
