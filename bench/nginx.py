"""nginx as the FHIR server of the benchmark, and as a proxy that checks nothing."""

from __future__ import annotations

from pathlib import Path

from bench.servers import Server

_NGINX = """
daemon off;
master_process off;
pid {folder}/{name}.pid;
error_log stderr crit;
events {{ worker_connections 1024; multi_accept on; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  tcp_nopush on;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  large_client_header_buffers 8 32k;
  client_body_temp_path {folder}/{name}.body;
  proxy_temp_path {folder}/{name}.proxy;
  fastcgi_temp_path {folder}/{name}.fastcgi;
  uwsgi_temp_path {folder}/{name}.uwsgi;
  scgi_temp_path {folder}/{name}.scgi;
{inside}
}}
"""

_STATIC = """
  open_file_cache max=100 inactive=1h;
  open_file_cache_valid 1h;
  types {{ }}
  etag off;
  upstream itself {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests 1000000000; }}
  map $arg_code $bundle {{ default all; ~^[a-z0-9-]+$ $arg_code; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    root {root};
    default_type application/fhir+json;
    location / {{ add_header ETag 'W/"1"'; }}
    location /fhir/Observation/ {{ add_header ETag 'W/"1"'; error_page 405 = @stored; }}
    location @stored {{
      proxy_pass http://itself;
      proxy_method GET;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_set_header If-Match "";
      proxy_pass_request_body off;
    }}
    location = /fhir/Observation {{
      add_header ETag 'W/"1"';
      try_files /bundles/$bundle =404;
      error_page 405 =201 /created;
    }}
    location = /created {{
      internal;
      alias {root}/fhir/Observation/obs-1;
      add_header ETag 'W/"1"';
      add_header Location http://127.0.0.1:{port}/fhir/Observation/obs-1/_history/1;
    }}
    location = /requests {{ stub_status; }}
    location = /fhir {{
      add_header ETag 'W/"1"';
      try_files /bundles/second =404;
      error_page 405 =200 /carried-out;
    }}
    location = /carried-out {{ internal; alias {root}/bundles/transaction-response; }}
    location = /fhir/$export {{
      add_header Content-Location http://127.0.0.1:{port}/fhir/jobs/1 always;
      return 202;
    }}
    location = /fhir/Binary {{ try_files /bundles/uploaded =404; error_page 405 =201 /uploaded; }}
    location = /uploaded {{
      internal;
      alias {root}/bundles/uploaded;
      add_header Location http://127.0.0.1:{port}/fhir/Binary/uploaded/_history/1;
    }}
    location /fhir/Binary/ {{ add_header ETag 'W/"1"'; default_type application/fhir+ndjson; }}
  }}
"""

_PROXY = """
  upstream fhir {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Authorization "";
  proxy_buffers 32 8k;
  proxy_max_temp_file_size 0;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location / {{ proxy_pass http://fhir; }}
  }}
"""


class Upstream(Server):
    """The FHIR server, as cheap as possible: nginx with static files."""

    name = "upstream"

    def command(self) -> list[str]:
        inside = _STATIC.format(port=self.port, root=self.setup.site.root)
        text = _NGINX.format(folder=self.setup.folder, name=self.name, inside=inside)
        return _nginx(self.setup.folder, self.file(".conf", text))


class NginxProxy(Server):
    """nginx that forwards everything and checks nothing: the minimum cost of a proxy."""

    name = "nginx"

    def command(self) -> list[str]:
        inside = _PROXY.format(port=self.port, upstream=self.setup.upstream_port)
        text = _NGINX.format(folder=self.setup.folder, name=self.name, inside=inside)
        return _nginx(self.setup.folder, self.file(".conf", text))


def _nginx(folder: Path, configuration: Path) -> list[str]:
    return ["nginx", "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
