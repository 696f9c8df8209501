"""The ASGI parts that the proxy and the SMART server share: types, responses, refusals, CORS and health checks."""
