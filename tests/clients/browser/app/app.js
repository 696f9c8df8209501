async function use(client) {
  const patient = await client.patient.read();
  const pages = await client.patient.request('Observation?_count=5', { pageLimit: 0, flat: false });
  const first = client.state.tokenResponse.access_token;
  const { tokenResponse } = await client.refresh();
  const again = await client.request(`Patient/${client.patient.id}`);
  const refused = await client.request('Condition').then(() => 200, (error) => error.status);
  return {
    patient: patient.id,
    pages: pages.length,
    found: new Set(pages.flatMap(({ entry }) => entry).map(({ resource }) => resource.id)).size,
    renewed: tokenResponse.access_token !== first,
    again: again.id,
    user: client.user.fhirUser,
    banner: client.state.tokenResponse.need_patient_banner,
    refused,
  };
}

const query = new URLSearchParams(location.search);
if (query.has('code') || query.has('error')) {
  FHIR.oauth2.ready().then(use).then(
    (told) => { window.told = told; },
    (error) => { window.told = { error: String(error) }; });
}
