"""What `helm test` checks in the cluster: discovery, a refusal, and a token of a backend client made for the test."""

import json
import os
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request

from joserfc import jwt
from joserfc.jwk import RSAKey

SERVICE = os.environ["SERVICE"]
BASE = urllib.parse.urlsplit(os.environ["PUBLIC_BASE_URL"]).path
ADMIN_TOKEN = os.environ.get("ADMIN_TOKEN")


def request(method, url, body=None, form=None, **headers):
    """Status and body, sent to the Service whatever the host of the URL is."""
    data = None
    if body is not None:
        data, headers["content-type"] = json.dumps(body).encode(), "application/json"
    elif form is not None:
        data, headers["content-type"] = urllib.parse.urlencode(form).encode(), "application/x-www-form-urlencoded"
    path = urllib.parse.urlsplit(url)._replace(scheme="", netloc="").geturl()
    message = urllib.request.Request(SERVICE + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(message, timeout=30) as response:
            return response.status, json.loads(response.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def expect(what, found, wanted):
    """End with a message unless both are the same."""
    if found[0] != wanted:
        raise SystemExit(f"FAILED {what}: status {found[0]} instead of {wanted}: {str(found[1])[:500]}")
    print(f"passed {what}", flush=True)
    return found[1]


def until(what, ask, wanted):
    """Ask again for a while: another pod knows of a change after some seconds."""
    deadline = time.monotonic() + 20
    while (found := ask())[0] != wanted and time.monotonic() < deadline:
        time.sleep(1)
    return expect(what, found, wanted)


def token_form(client_id, key, token_endpoint):
    """A request for a token by the client credentials grant, with a new assertion."""
    now = int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": token_endpoint, "exp": now + 120, "jti": secrets.token_hex(16)}
    return {
        "grant_type": "client_credentials",
        "scope": "system/Patient.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode({"alg": "RS384", "kid": key.kid}, claims, key, algorithms=["RS384"]),
    }


def check_backend_client(smart):
    """Register a backend client, use it, and remove it again."""
    key = RSAKey.generate_key(2048, parameters={"kid": "helm-test"})
    client_id = f"helm-test-{secrets.token_hex(8)}"
    admin, authorization = f"{smart['issuer']}/admin/clients", {"authorization": f"Bearer {ADMIN_TOKEN}"}
    entry = {
        "client_id": client_id,
        "name": "helm test",
        "type": "confidential-asymmetric",
        "grant_types": ["client_credentials"],
        "scopes": "system/Patient.rs",
        "jwks": {"keys": [key.as_dict(private=False)]},
    }
    created = request("POST", admin, body=entry, **authorization)
    if created[0] not in {200, 201}:
        raise SystemExit(f"FAILED to register a client: status {created[0]}: {created[1]}")
    try:
        endpoint = smart["token_endpoint"]
        response = until(
            "a token of a backend client",
            lambda: request("POST", endpoint, form=token_form(client_id, key, endpoint)),
            200,
        )
        bearer = {"authorization": f"Bearer {response['access_token']}", "accept": "application/fhir+json"}
        expect("its search", request("GET", f"{BASE}/Patient?_count=1", **bearer), 200)
        expect("the refusal of what it was not granted", request("GET", f"{BASE}/Observation", **bearer), 403)
    finally:
        request("DELETE", f"{admin}/{client_id}?remove=true", **authorization)
    until("the end of its token", lambda: request("GET", f"{BASE}/Patient?_count=1", **bearer), 401)


def main():
    """Run all checks; the first that fails ends with status 1."""
    expect("the refusal without a token", request("GET", f"{BASE}/Patient"), 401)
    expect("the refusal of a wrong token", request("GET", f"{BASE}/Patient", authorization="Bearer wrong"), 401)
    expect("the CapabilityStatement", request("GET", f"{BASE}/metadata", accept="application/fhir+json"), 200)
    found = request("GET", f"{BASE}/.well-known/smart-configuration")
    if found[0] == 404 and ADMIN_TOKEN is None:
        print("skipped discovery: no authorization server is configured")
        return
    smart = expect("discovery", found, 200)
    if ADMIN_TOKEN is not None:
        check_backend_client(smart)


main()
