// fhir-kit-client writes with a token that it is told.
import { Client } from 'fhir-kit-client';

const asked = JSON.parse(process.argv[2]);
const kit = new Client({ baseUrl: asked.base, bearerToken: asked.token });
const resourceType = 'Observation';

const observation = (patient, elements = {}) => ({
  resourceType, status: 'final', code: { text: 'weight' }, subject: { reference: `Patient/${patient}` }, ...elements,
});
const entry = (method, url, resource, fullUrl) => ({ fullUrl, resource, request: { method, url } });
const ifMatch = ({ meta }) => ({ headers: { 'If-Match': `W/"${meta.versionId}"` } });
const codes = ({ entry: entries }) => entries.map(({ response }) => response.status.slice(0, 3));

/** What the client says of a request that fails. */
async function failure(promise) {
  try {
    await promise;
    return null;
  } catch ({ message, response }) {
    return { message, status: response?.status, outcome: response?.data };
  }
}

const made = await kit.create({ resourceType, body: observation(asked.patient) });
const { id } = made;
const changed = await kit.update({ resourceType, id, body: { ...made, status: 'amended' }, options: ifMatch(made) });
const stale = await failure(kit.update({ resourceType, id, body: made, options: ifMatch(made) }));
const patched = await kit.patch({
  resourceType, id, jsonPatch: [{ op: 'replace', path: '/status', value: 'corrected' }], options: ifMatch(changed),
});
const toAnother = await failure(kit.create({ resourceType, body: observation(asked.other) }));
const body = observation(asked.other, { id: asked.foreign });
const ofAnother = await failure(kit.update({ resourceType, id: asked.foreign, body }));
const name = 'urn:uuid:11111111-1111-4111-8111-111111111111';
const encounter = {
  resourceType: 'Encounter', status: 'finished', class: { code: 'AMB' },
  subject: { reference: `Patient/${asked.patient}` },
};
const transaction = await kit.transaction({
  body: {
    resourceType: 'Bundle', type: 'transaction',
    entry: [
      entry('POST', 'Encounter', encounter, name),
      entry('POST', resourceType, observation(asked.patient, { encounter: { reference: name } })),
    ],
  },
});
const refusedTransaction = await failure(kit.transaction({
  body: {
    resourceType: 'Bundle', type: 'transaction',
    entry: [entry('POST', 'Encounter', encounter), entry('POST', resourceType, observation(asked.other))],
  },
}));
const batch = await kit.batch({
  body: {
    resourceType: 'Bundle', type: 'batch',
    entry: [entry('GET', `${resourceType}/${id}`), entry('POST', resourceType, observation(asked.other))],
  },
});
const places = transaction.entry.map(({ response }) => response.location.split('/_history/')[0].split('/').slice(-2));
const [[, encounterId], [, inEncounter]] = places;
const stored = await kit.read({ resourceType, id: inEncounter });
await kit.delete({ resourceType, id });
await kit.delete({ resourceType, id: inEncounter });
await kit.delete({ resourceType: 'Encounter', id: encounterId });
console.log(JSON.stringify({
  changed: changed.status, stale, patched: patched.status, toAnother, ofAnother, batch: codes(batch),
  transaction: codes(transaction), refusedTransaction,
  refersToIt: stored.encounter.reference.endsWith(`Encounter/${encounterId}`),
  afterwards: (await failure(kit.read({ resourceType, id }))).status,
}));
