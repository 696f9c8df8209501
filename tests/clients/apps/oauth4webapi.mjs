// oauth4webapi, the strictest reader of the specifications: every step validates what came back.
import * as oauth from 'oauth4webapi';
import { address, asked, ids, redirect, serve } from './serve.mjs';

const insecure = { [oauth.allowInsecureRequests]: true };
const issuer = new URL(asked.issuer);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
const client = { client_id: asked.clientId };
const redirectUri = `${asked.origin}/callback`;
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();

async function proof() {
  if (asked.secret) return oauth.ClientSecretBasic(asked.secret);
  if (!asked.jwk) return oauth.None();
  const { key_ops, ext, ...jwk } = asked.jwk;
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: jwk.crv }, false, ['sign']);
  // SMART wants the token endpoint as audience; this library says the issuer by itself.
  return oauth.PrivateKeyJwt({ key, kid: jwk.kid }, {
    [oauth.modifyAssertion]: (_, claims) => { claims.aud = server.token_endpoint; },
  });
}

const get = async (token, url) =>
  oauth.protectedResourceRequest(token, 'GET', new URL(url), new Headers({ accept: 'application/fhir+json' }), null, insecure);

async function pagesOf(token, url) {
  const pages = [];
  for (let next = url; next;) {
    const bundle = await (await get(token, next)).json();
    pages.push(bundle);
    next = bundle.link.find(({ relation }) => relation === 'next')?.url;
  }
  return pages;
}

serve({
  '/launch': async (request, response) => {
    const url = new URL(server.authorization_endpoint);
    const challenge = await oauth.calculatePKCECodeChallenge(verifier);
    Object.entries({
      response_type: 'code', client_id: asked.clientId, redirect_uri: redirectUri, scope: asked.scope, aud: asked.base,
      state, nonce, code_challenge: challenge, code_challenge_method: 'S256',
    }).forEach(([name, value]) => url.searchParams.set(name, value));
    redirect(response, url);
  },
  '/callback': async (request) => {
    const parameters = oauth.validateAuthResponse(server, client, address(request), state);
    const authentication = await proof();
    const answer = await oauth.authorizationCodeGrantRequest(
      server, client, authentication, parameters, redirectUri, verifier, insecure);
    const first = await oauth.processAuthorizationCodeResponse(
      server, client, answer, { expectedNonce: nonce, requireIdToken: true });
    await oauth.validateApplicationLevelSignature(server, answer, insecure);
    const refreshed = await oauth.processRefreshTokenResponse(server, client, await oauth.refreshTokenGrantRequest(
      server, client, authentication, first.refresh_token, insecure));
    const patient = await (await get(refreshed.access_token, `${asked.base}/Patient/${first.patient}`)).json();
    const pages = await pagesOf(refreshed.access_token, `${asked.base}/Observation?_count=5`);
    await oauth.processRevocationResponse(await oauth.revocationRequest(
      server, client, authentication, refreshed.access_token, insecure));
    const after = await get(refreshed.access_token, `${asked.base}/Patient/${first.patient}`).then(
      ({ status }) => status,
      (error) => ({ status: error.status, scheme: error.cause?.[0]?.scheme, error: error.cause?.[0]?.parameters.error }));
    const claims = oauth.getValidatedIdTokenClaims(first);
    return {
      patient: patient.id,
      pages: pages.length,
      found: ids(pages),
      scope: first.scope,
      renewed: refreshed.access_token !== first.access_token,
      fhirUser: claims.fhirUser,
      subject: claims.sub,
      after,
    };
  },
});
