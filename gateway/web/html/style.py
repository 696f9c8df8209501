"""The one stylesheet, which every page carries within itself."""

from importlib.resources import files

# A CR would be turned into LF by the browser before it computes the hash (HTML, preprocessing the input stream).
STYLE = files("gateway.web.html").joinpath("style.css").read_text(encoding="utf-8").replace("\r\n", "\n")
