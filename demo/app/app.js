// The whole app: connect, show the patient and some records page by page, renew, forget. It holds no secret.
"use strict";

const PANELS = [
  ["Observation", "Results"],
  ["Condition", "Problems"],
  ["MedicationRequest", "Medicines"],
  ["Encounter", "Visits"],
];
const PAGES = 3;

const at = (id) => document.getElementById(id);
const settings = fetch("settings.json").then((answer) => answer.json());

function say(error) {
  at("problem").textContent = error ? String(error.message || error).slice(0, 400) : "";
  at("problem").hidden = !error;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

const nameOf = (patient) => {
  const name = (patient.name || [])[0] || {};
  return name.text || [...(name.given || []), name.family].filter(Boolean).join(" ") || patient.id;
};

function lineOf(resource) {
  const concept = resource.code || resource.medicationCodeableConcept || (resource.type || [])[0] || {};
  const what = concept.text || ((concept.coding || [])[0] || {}).display || resource.resourceType;
  const value = resource.valueQuantity ? `${resource.valueQuantity.value} ${resource.valueQuantity.unit || ""}` : "";
  const when = resource.effectiveDateTime || resource.onsetDateTime || resource.authoredOn || (resource.period || {}).start;
  return [what, value, (when || "").slice(0, 10)];
}

async function panel(client, type, title) {
  const section = document.createElement("section");
  section.append(element("h3", title));
  at("panels").append(section);
  try {
    const pages = await client.request(`${type}?_count=10`, { pageLimit: PAGES, flat: true });
    const rows = pages.filter((one) => one.resourceType === type);
    if (!rows.length) section.append(element("p", "None, or none that the app may see."));
    const table = document.createElement("table");
    for (const resource of rows) {
      const row = table.insertRow();
      lineOf(resource).forEach((text) => row.append(element("td", text)));
    }
    section.append(table);
  } catch (error) {
    section.append(element("p", `Not allowed: ${String(error.message).split("\n")[0].slice(0, 200)}`));
  }
}

async function show(client) {
  at("start").hidden = true;
  at("record").hidden = false;
  at("panels").replaceChildren();
  say(null);
  const token = client.state.tokenResponse;
  at("scope").textContent = token.scope || "nothing";
  at("user").textContent = client.user.fhirUser || "somebody that the app was not told";
  try {
    if (client.patient.id) {
      at("who").textContent = nameOf(await client.patient.read());
      for (const [type, title] of PANELS) await panel(client, type, title);
    } else {
      at("who").textContent = "Patients that you may see";
      const patients = await client.request("Patient?_count=10", { pageLimit: PAGES, flat: true });
      const list = document.createElement("ul");
      patients.forEach((one) => list.append(element("li", nameOf(one))));
      at("panels").append(list);
    }
  } catch (error) {
    at("who").textContent = "No access";
    say(error);
  }
  document.body.dataset.state = "shown";
}

async function begin() {
  const { iss } = await settings;
  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const scope = new FormData(event.target).get("scope");
    FHIR.oauth2.authorize({ iss, clientId: "vital-lines", scope, redirectUri: "index.html" }).catch(say);
  });
  const asked = new URLSearchParams(location.search);
  if (asked.has("error")) {
    at("record").hidden = false;
    at("who").textContent = "Not connected";
    say(asked.get("error_description") || asked.get("error"));
    return;
  }
  if (!asked.has("code") && !asked.has("state")) return;
  const client = await FHIR.oauth2.ready();
  at("more").addEventListener("click", () => show(client));
  at("renew").addEventListener("click", () => client.refresh().then(() => show(client), say));
  at("leave").addEventListener("click", () => {
    sessionStorage.clear();
    location.assign("index.html");
  });
  await show(client);
}

begin().catch((error) => {
  at("record").hidden = false;
  at("who").textContent = "Not connected";
  say(error);
});
