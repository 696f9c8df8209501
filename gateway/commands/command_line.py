"""The command line: its commands and groups of commands.

Modules named `*_commands` define options and print results. What a command does is imported when it runs, because no
command needs the libraries of the others.
"""

from importlib.metadata import version

from cyclopts import App

from gateway.commands.admin_commands import admin
from gateway.commands.audit_commands import audit
from gateway.commands.client_commands import clients
from gateway.commands.configuration_commands import configuration
from gateway.commands.explain_commands import explain
from gateway.commands.grant_commands import grants
from gateway.commands.key_commands import keys
from gateway.commands.policy_commands import policy
from gateway.commands.selftest_commands import selftest
from gateway.commands.server_commands import check_config, check_health, serve
from gateway.commands.session_commands import sessions
from gateway.commands.shadow_commands import shadow
from gateway.commands.token_commands import development_key, mint
from gateway.commands.user_commands import users

HELP = """SMART App Launch in front of any FHIR R4 server, enforced on every byte that comes back.

A first look, from a checkout: `make run` starts everything and prints commands to paste.
Otherwise: write a config/gateway.yaml (every setting is explained there), then

    smart-gateway check-config --config gateway.yaml
    smart-gateway serve --config gateway.yaml
    smart-gateway clients add --config gateway.yaml --name 'Growth Chart' --redirect-uri https://app.example/callback
    smart-gateway explain --scope 'patient/Observation.rs' --patient A GET '/Observation?code=1234-5'

Every setting can also come from the environment: SMART_GATEWAY__UPSTREAM__BASE_URL is upstream.base_url.
"""


def _version() -> str:
    return f"smart-gateway {version('smart-fhir-gateway')}"


app = App(name="smart-gateway", help=HELP, help_format="plaintext", version=_version, version_flags=["--version"])
app.command(serve)
app.command(check_config, name="check-config")
app.command(check_health, name="check-health")
app.command(development_key, name="development-key")
app.command(mint)
app.command(explain)
app.command(selftest)
app.command(clients)
app.command(users)
app.command(sessions)
app.command(grants)
app.command(keys)
app.command(audit)
app.command(configuration)
app.command(admin)
app.command(policy)
app.command(shadow)
