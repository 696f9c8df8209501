"""The small SMART app of the demonstration, served on a separate port: static files and the URL of its FHIR server.

python -m scripts.demo_app https://fhir.example.org/r4 --port 8081      for a gateway anywhere, on this machine alone
"""

import argparse
import http.server
import json
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from scripts.install_once import ROOT
from scripts.node import fetch_node

FOLDER = ROOT / "demo" / "app"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
_FILES = ("index.html", "launch.html", "app.js", "launch.js", "style.css")


def served_files(iss: str) -> dict[str, bytes]:
    """The served files by path. The library comes from npm, as locked."""
    library = fetch_node().install(FOLDER, "the demo app's library") / "fhirclient" / "build" / "fhir-client.js"
    content = {f"/{name}": (FOLDER / name).read_bytes() for name in _FILES}
    content["/"] = content["/index.html"]
    content["/fhir-client.js"] = library.read_bytes()
    content["/settings.json"] = json.dumps({"iss": iss}).encode()
    return content


class DemoApp:
    """A running copy of the app."""

    def __init__(self, port: int, iss: str) -> None:
        """`iss` is the FHIR base that it connects to."""
        handler = _handler(served_files(iss))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


def _handler(content: Mapping[str, bytes]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            body = content.get(path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-type", _TYPES.get(Path(path).suffix, "text/html") + "; charset=utf-8")
            self.send_header("content-length", str(len(body or b"")))
            self.send_header("cache-control", "no-store")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    return Handler


def main() -> int:
    """Serve the app until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("iss", help="the FHIR base URL of the gateway, as apps see it")
    parser.add_argument("--port", type=int, default=8081, help="port of the app (default 8081)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app = DemoApp(arguments.port, arguments.iss)
    root = f"http://127.0.0.1:{arguments.port}"
    print(
        f"""The app is at {root}. The gateway has to know it:

  smart-gateway clients add --client-id vital-lines --name 'Vital Lines' \\
    --redirect-uri {root}/index.html --launch-uri {root}/launch.html

Ctrl-C ends it.""",
        flush=True,
    )
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        app.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
