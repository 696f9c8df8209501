// An EHR's `iss` and `launch` in the address take precedence over what stands here.
const launched = new URLSearchParams(location.search).has('launch');
const scope = launched ? config.scope.replace('launch/patient', 'launch') : config.scope;
FHIR.oauth2.authorize({ ...config, scope, pkceMode: 'required', completeInTarget: true })
  .catch((error) => { window.told = { error: String(error) }; });
