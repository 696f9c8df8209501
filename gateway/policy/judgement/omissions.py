"""What the gateway says about parts of a request that it left out: nothing that they add could be shown."""

from collections.abc import Sequence

from gateway.fhir.resources.operation_outcome import build_operation_outcome, encode_outcome


def encode_omissions(omitted_parameters: Sequence[str]) -> bytes:
    """An OperationOutcome that names the omitted parameters."""
    text = "Left out, because nothing of it can be shown with this access token: " + ", ".join(omitted_parameters)
    return encode_outcome(
        build_operation_outcome(code="incomplete", reason="left_out", text=text, severity="information")
    )
