// openid-client finds the server by its issuer and checks the id_token; fhir-kit-client reads with the token it got.
import * as client from 'openid-client';
import { Client as FhirKit } from 'fhir-kit-client';
import { address, asked, ids, redirect, serve } from './serve.mjs';

async function proof() {
  if (asked.secret) return client.ClientSecretBasic(asked.secret);
  if (!asked.jwk) return client.None();
  const { key_ops, ext, ...jwk } = asked.jwk;
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: jwk.crv }, false, ['sign']);
  // SMART wants the token endpoint as audience; this library says the issuer by itself.
  return client.PrivateKeyJwt({ key, kid: jwk.kid }, {
    [client.modifyAssertion]: (_, claims) => { claims.aud = asked.tokenEndpoint; },
  });
}

const config = await client.discovery(new URL(asked.issuer), asked.clientId, undefined, await proof(), {
  execute: [client.allowInsecureRequests],
});
const checks = {
  pkceCodeVerifier: client.randomPKCECodeVerifier(),
  expectedState: client.randomState(),
  expectedNonce: client.randomNonce(),
  idTokenExpected: true,
};

serve({
  '/launch': async (request, response) => redirect(response, client.buildAuthorizationUrl(config, {
    redirect_uri: `${asked.origin}/callback`,
    scope: asked.scope,
    aud: asked.base,
    state: checks.expectedState,
    nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
    code_challenge_method: 'S256',
  })),
  '/callback': async (request) => {
    const first = await client.authorizationCodeGrant(config, address(request), checks);
    const claims = first.claims();
    const refreshed = await client.refreshTokenGrant(config, first.refresh_token);
    const kit = new FhirKit({ baseUrl: asked.base, bearerToken: refreshed.access_token });
    const patient = await kit.read({ resourceType: 'Patient', id: first.patient });
    const pages = [await kit.search({ resourceType: 'Observation', searchParams: { _count: 5 } })];
    for (let next = await kit.nextPage({ bundle: pages[0] }); next; next = await kit.nextPage({ bundle: next })) {
      pages.push(next);
    }
    const active = asked.mayIntrospect ? await client.tokenIntrospection(config, refreshed.access_token) : null;
    await client.tokenRevocation(config, refreshed.refresh_token);
    const after = await kit.read({ resourceType: 'Patient', id: first.patient })
      .then(() => 200, (error) => error.response?.status ?? String(error));
    return {
      patient: patient.id,
      pages: pages.length,
      found: ids(pages),
      scope: first.scope,
      renewed: refreshed.access_token !== first.access_token,
      fhirUser: claims.fhirUser,
      subject: claims.sub,
      introspected: active && active.scope === refreshed.scope,
      after,
    };
  },
});
