const FHIR_JSON = { 'content-type': 'application/fhir+json' };

const observation = (patient, elements = {}) => ({
  resourceType: 'Observation', status: 'final', code: { text: 'weight' },
  subject: { reference: `Patient/${patient}` }, ...elements,
});

/** What the library says of a request that fails. */
const failure = (promise) => promise.then(() => null, ({ status, message }) => ({ status, message }));

async function write(client) {
  const { id } = await client.create(observation(client.patient.id));
  const { body, response } = await client.request({ url: `Observation/${id}`, includeResponse: true });
  const match = { headers: { 'If-Match': response.headers.get('etag') } };
  const updated = await client.update({ ...body, status: 'amended' }, match);
  const stale = await failure(client.update(body, match));
  const patched = await client.patch(`Observation/${id}`, [{ op: 'replace', path: '/status', value: 'corrected' }]);
  const toAnother = await failure(client.create(observation('pat-b')));
  const ofAnother = await failure(client.update(observation('pat-b', { id: 'pat-b-smoking' })));
  const entries = [
    { request: { method: 'GET', url: `Observation/${id}` } },
    { request: { method: 'POST', url: 'Observation' }, resource: observation('pat-b') },
  ];
  const batch = await client.request({
    url: '', method: 'POST', headers: FHIR_JSON,
    body: JSON.stringify({ resourceType: 'Bundle', type: 'batch', entry: entries }),
  });
  await client.delete(`Observation/${id}`);
  return {
    updated: updated.status, stale, patched: patched.status, toAnother, ofAnother,
    batch: batch.entry.map((entry) => entry.response.status.slice(0, 3)),
    afterwards: (await failure(client.request(`Observation/${id}`))).status,
  };
}

FHIR.oauth2.ready().then(write).then(
  (told) => { window.told = told; },
  (error) => { window.told = { error: String(error) }; });
