"""Settings of traces: what is refused, and what the headers for the collector are."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings.serving.tracing import Tracing

ENDPOINT = {"endpoint": "http://collector:4318/v1/traces"}


def test_headers_are_read_from_one_secret_text() -> None:
    tracing = Tracing.model_validate(ENDPOINT | {"headers": " api-key = abc==,x-tenant=a clinic "})
    assert tracing.header_fields() == {"api-key": "abc==", "x-tenant": "a clinic"}
    assert "abc" not in repr(tracing)
    assert Tracing.model_validate(ENDPOINT).header_fields() == {}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        pytest.param({"endpoint": "collector:4317"}, "must", id="no URL"),
        pytest.param({"endpoint": ""}, "must", id="an empty URL"),
        pytest.param(ENDPOINT | {"sample_ratio": 1.5}, "less than or equal to 1", id="more than all"),
        pytest.param(ENDPOINT | {"sample_ratio": "half"}, "valid number", id="a ratio in words"),
        pytest.param(ENDPOINT | {"parent_based": "yes"}, "valid boolean", id="a word for a flag"),
        pytest.param(ENDPOINT | {"headers": "api-key"}, "must be name=value, separated by commas", id="no value"),
        pytest.param(ENDPOINT | {"headers": "a=b\r\nx: y"}, "must be name=value, separated by commas", id="two lines"),
        pytest.param(
            ENDPOINT | {"headers": "a=b,"}, "must be name=value, separated by commas", id="nothing after a comma"
        ),
        pytest.param(ENDPOINT | {"service_name": " "}, "must", id="no name"),
        pytest.param(ENDPOINT | {"resource_attributes": {"a b": "c"}}, "must", id="a space in an attribute's name"),
        pytest.param(ENDPOINT | {"protocol": "grpc"}, "Extra inputs", id="an unknown setting"),
    ],
)
def test_anything_else_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Tracing.model_validate(values)
    assert told in str(caught.value)
