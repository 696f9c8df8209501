// fhirclient (npm) on a server: smart(request, response, storage), as its documentation has it for Node.
import smart from 'fhirclient';
import { address, asked, ids, serve } from './serve.mjs';

const kept = new Map();
const storage = {
  get: async (key) => kept.get(key),
  set: async (key, value) => { kept.set(key, value); return value; },
  unset: async (key) => kept.delete(key),
};

const options = {
  clientId: asked.clientId,
  clientSecret: asked.secret,
  clientPrivateJwk: asked.jwk,
  scope: asked.scope,
  redirectUri: '/callback',
  pkceMode: 'required',
};

serve({
  '/launch': (request, response) => {
    const iss = address(request).searchParams.get('iss') ?? asked.base;
    return smart(request, response, storage).authorize({ ...options, iss });
  },
  '/callback': async (request, response) => {
    const client = await smart(request, response, storage).ready();
    const atFirst = client.state.tokenResponse.access_token;
    const patient = await client.patient.read();
    const pages = await client.patient.request('Observation?_count=5', { pageLimit: 0 });
    const renewedAlready = client.state.tokenResponse.access_token !== atFirst;
    const first = { ...client.state.tokenResponse };
    const refreshed = await client.refresh().then(
      ({ tokenResponse }) => (tokenResponse.access_token !== first.access_token ? 'renewed' : 'the same'),
      (error) => /invalid_client/.exec(error.message)?.[0] ?? String(error));
    const again = await client.request(`Patient/${client.patient.id}`);
    const other = await client.request('Patient/pat-b').then(() => 200, (error) => error.status ?? error.statusCode);
    const user = client.user.fhirUser ? await client.user.read() : null;
    return {
      patient: patient.id,
      pages: pages.length,
      found: ids(pages),
      scope: first.scope,
      renewedAlready,
      refreshed,
      again: again.id,
      other,
      user: user && `${user.resourceType}/${user.id}`,
    };
  },
});
