"""The small SMART app of the demonstration, served on a port of its own: static files, and where its FHIR server is."""

import http.server
import json
import threading
from collections.abc import Mapping
from pathlib import Path

from scripts.node import fetch_node
from scripts.once import ROOT

FOLDER = ROOT / "demo" / "app"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
_FILES = ("index.html", "launch.html", "app.js", "launch.js", "style.css")


def files(iss: str) -> dict[str, bytes]:
    """What is served, by path. The library is npm's, by the lock file."""
    library = fetch_node().install(FOLDER, "the demo app's library") / "fhirclient" / "build" / "fhir-client.js"
    served = {f"/{name}": (FOLDER / name).read_bytes() for name in _FILES}
    served["/"] = served["/index.html"]
    served["/fhir-client.js"] = library.read_bytes()
    served["/settings.json"] = json.dumps({"iss": iss}).encode()
    return served


class DemoApp:
    """A running copy of the app."""

    def __init__(self, port: int, iss: str) -> None:
        """`iss` is the FHIR base that it connects to."""
        handler = _handler(files(iss))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


def _handler(served: Mapping[str, bytes]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            body = served.get(path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-type", _TYPES.get(Path(path).suffix, "text/html") + "; charset=utf-8")
            self.send_header("content-length", str(len(body or b"")))
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *arguments: object) -> None:
            """The app's requests are nobody's business."""

    return Handler
