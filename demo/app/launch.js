// Where an EHR opens the app: `iss` and `launch` come in the address, and go to the authorization endpoint.
"use strict";

FHIR.oauth2
  .authorize({
    clientId: "vital-lines",
    scope: "launch openid fhirUser online_access patient/*.rs",
    redirectUri: "index.html",
  })
  .catch((error) => {
    const problem = document.getElementById("problem");
    problem.textContent = error.message;
    problem.hidden = false;
  });
