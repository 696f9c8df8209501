// fhir-kit-client keeps app state with a token that it is told, at the base that discovery names.
import { Client } from 'fhir-kit-client';

const asked = JSON.parse(process.argv[2]);
const discovered = await (await fetch(`${asked.base}/.well-known/smart-configuration`)).json();
const endpoint = discovered.associated_endpoints.find(({ capabilities }) => capabilities.includes('smart-app-state'));
const kit = new Client({ baseUrl: endpoint.url, bearerToken: asked.token });
const resourceType = 'Basic';

const state = (subject, value) => ({
  resourceType,
  code: { coding: [{ system: asked.system, code: 'preferences' }] },
  subject: { reference: `${asked.base}/Patient/${subject}` },
  extension: [{ url: `${asked.system}/v1`, valueString: value }],
});
const ifMatch = ({ meta }) => ({ headers: { 'If-Match': `W/"${meta.versionId}"` } });
const found = async () => {
  const searchParams = { code: `${asked.system}|preferences`, subject: `${asked.base}/Patient/${asked.patient}` };
  const { entry = [] } = await kit.search({ resourceType, searchParams });
  return entry.map(({ resource }) => resource.extension[0].valueString);
};

/** What the client says of a request that fails. */
async function failure(promise) {
  try {
    await promise;
    return null;
  } catch ({ response }) {
    return [response?.status, response?.data?.issue?.[0]?.details?.coding?.[0]?.code];
  }
}

const statement = await kit.capabilityStatement();
const made = await kit.create({ resourceType, body: state(asked.patient, 'first') });
const afterwards = { created: await found() };
const { id } = made;
const body = { ...made, extension: [{ url: `${asked.system}/v1`, valueString: 'second' }] };
const changed = await kit.update({ resourceType, id, body, options: ifMatch(made) });
afterwards.updated = await found();
const refused = {
  stale: await failure(kit.update({ resourceType, id, body, options: ifMatch(made) })),
  withoutVersion: await failure(kit.update({ resourceType, id, body })),
  toAnother: await failure(kit.create({ resourceType, body: state(asked.other, 'x') })),
};
await kit.delete({ resourceType, id, options: ifMatch(changed) });
afterwards.deleted = await found();
refused.gone = await failure(kit.delete({ resourceType, id, options: ifMatch(changed) }));
console.log(JSON.stringify({ types: statement.rest[0].resource.map(({ type }) => type), afterwards, refused }));
