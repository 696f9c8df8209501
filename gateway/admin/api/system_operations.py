"""Keys, decisions, configuration and health of the gateway."""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.admin.administration import Administration
from gateway.admin.api.operation import Call, NoQuery, Operation, read
from gateway.admin.api.values import Flag, JsonObject, Limit, Name
from gateway.admin.decisions import ExplainedDecision
from gateway.admin.health import PartHealth
from gateway.settings.loading.shown_settings import shown_settings
from gateway.smart_server.administration.keys import PublishedKey
from gateway.smart_server.configuration_control import ConfigurationChange
from gateway.telemetry.configuration_metrics import ReloadOutcome


class RotationQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a key comes into use."""

    at_once: Annotated[
        Flag, Meta(description="For a leaked key: the new one signs now, and no other is published or used any more.")
    ] = "false"


class DecisionQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which decisions."""

    client: Annotated[Name, Meta(description="A client id.")] | None = None
    refused: Annotated[Flag, Meta(description="Only those that refuse.")] = "false"
    limit: Limit = 50


class KeyList(msgspec.Struct, frozen=True):
    """The published keys, the oldest first."""

    keys: tuple[PublishedKey, ...]


class DecisionList(msgspec.Struct, frozen=True):
    """The fields of audit lines, the newest first."""

    decisions: tuple[JsonObject, ...]


class ConfigurationInForce(msgspec.Struct, frozen=True):
    """The configuration of the process that answers; `previous` is the version to which there is a way back.

    `problems` say why the files as they are now are not in force. `history` has the last changes, the newest first.
    """

    version: str
    since: float
    previous: str | None
    problems: tuple[str, ...]
    history: tuple[ConfigurationChange, ...]
    settings: JsonObject


class ChangedConfiguration(msgspec.Struct, frozen=True):
    """What became of an order."""

    outcome: ReloadOutcome
    version: str
    previous: str | None


class Health(msgspec.Struct, frozen=True):
    """The parts that the gateway depends on."""

    parts: tuple[PartHealth, ...]


class SystemOperations:
    """What administrators see of the gateway itself, and change of it."""

    def __init__(self, administration: Administration) -> None:
        self._administration = administration

    def operations(self) -> Iterator[Operation]:
        """The operations."""
        yield read("/keys", "listKeys", "The keys that sign id_tokens.", self._list_keys, KeyList)
        yield Operation(
            "POST", "/keys", "rotateKeys", "Make the next signing key. It is published now and signs in an hour.",
            self._rotate_keys, KeyList, query=RotationQuery, status=201, refusals=(409,),
        )  # fmt: skip
        yield read("/decisions", "listDecisions", "The last decisions about FHIR requests.", self._list_decisions,
                   DecisionList, query=DecisionQuery)  # fmt: skip
        yield read("/decisions/{decision_id}", "explainDecision", "A recent decision, and why it was made.",
                   self._explain, ExplainedDecision, refusals=(404,))  # fmt: skip
        yield read("/configuration", "showConfiguration", "The configuration in force, without secrets.",
                   self._show_configuration, ConfigurationInForce, refusals=(409,))  # fmt: skip
        yield Operation(
            "POST", "/configuration/reload", "reloadConfiguration",
            "Bring the configuration into force as the files are now.", self._reload, ChangedConfiguration,
            refusals=(409, 422),
        )  # fmt: skip
        yield Operation(
            "POST", "/configuration/rollback", "rollBackConfiguration", "Go back to the configuration before.",
            self._roll_back, ChangedConfiguration, refusals=(409, 422),
        )  # fmt: skip
        yield read("/health", "showHealth", "Whether FHIR server, store, providers and audit spool work.",
                   self._show_health, Health)  # fmt: skip

    async def _list_keys(self, _: Call[NoQuery, None]) -> KeyList:
        return KeyList(await self._administration.keys.list())

    async def _rotate_keys(self, call: Call[RotationQuery, None]) -> KeyList:
        return KeyList(await self._administration.keys.rotate(at_once=call.query.at_once == "true"))

    async def _list_decisions(self, call: Call[DecisionQuery, None]) -> DecisionList:
        query = call.query
        found = self._administration.decisions.recent(
            query.limit, client=query.client, refused_only=query.refused == "true"
        )
        return DecisionList(tuple(dict(fields) for fields in found))

    async def _explain(self, call: Call[NoQuery, None]) -> ExplainedDecision:
        return self._administration.decisions.explain(call.path["decision_id"])

    async def _show_configuration(self, _: Call[NoQuery, None]) -> ConfigurationInForce:
        state = self._administration.configuration.state
        settings: dict[str, Any] = shown_settings(self._administration.settings)
        return ConfigurationInForce(state.version, state.since, state.previous, state.problems, state.history, settings)

    async def _reload(self, _: Call[NoQuery, None]) -> ChangedConfiguration:
        return self._changed(await self._administration.configuration.reload())

    async def _roll_back(self, _: Call[NoQuery, None]) -> ChangedConfiguration:
        return self._changed(await self._administration.configuration.roll_back())

    def _changed(self, outcome: ReloadOutcome) -> ChangedConfiguration:
        state = self._administration.configuration.state
        return ChangedConfiguration(outcome, state.version, state.previous)

    async def _show_health(self, _: Call[NoQuery, None]) -> Health:
        return Health(await self._administration.health.check())
