"""The application of the admin port: the API below `/api`, and the pages."""

from starlette.routing import Router

from gateway.admin.administration import Administration
from gateway.admin.api.endpoint import PREFIX
from gateway.admin.api.routes import build_api
from gateway.admin.door import AdminDoor, HostCheck
from gateway.admin.pages.routes import page_routes
from gateway.asgi.no_sniff import NoSniff
from gateway.asgi.types import ASGIApplication, Receive, Scope, Send

_API = PREFIX.encode()


def build_application(administration: Administration) -> ASGIApplication:
    """The application. It has no lifespan: what it needs is opened and closed elsewhere."""
    settings = administration.settings.admin
    door = AdminDoor(settings, administration.smart_server.events, administration.sessions)
    api = build_api(administration, door)
    # A redirect that adds a slash would make the browser send a form a second time (edge case 22).
    pages = Router(page_routes(administration, door), redirect_slashes=False)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        """By the raw path: an id may hold a slash."""
        path = scope["raw_path"]
        await (api if path == _API or path.startswith(_API + b"/") else pages)(scope, receive, send)

    return NoSniff(HostCheck(dispatch, settings))
