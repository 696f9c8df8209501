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

// What the gateway says about a refusal: the text and the reason of its OperationOutcome, or the error of a token request.
function reasonOf(error) {
  const message = String(error.message || error);
  try {
    const outcome = JSON.parse(message.slice(message.indexOf("{"), message.lastIndexOf("}") + 1));
    const { text, coding } = outcome.issue[0].details;
    return `${text} (${coding[0].code})`;
  } catch {
    return message.split("\n").filter((line) => !line.startsWith("URL:")).join(" ").slice(0, 400);
  }
}

const hasEnded = (error) => error.status === 401 || /invalid_grant|expired/i.test(String(error.message));

function say(error) {
  at("problem").textContent = error ? reasonOf(error) : "";
  at("problem").hidden = !error;
}

// Revoked or expired: nothing of the record stays on the page, and the way to connect again is open.
function end(error) {
  sessionStorage.clear();
  at("who").textContent = "The access has ended";
  at("panels").replaceChildren();
  for (const id of ["more", "renew", "leave"]) at(id).hidden = true;
  at("granted").hidden = true;
  at("start").hidden = false;
  say(`The app may no longer read the record. You can connect it again. The server says: ${reasonOf(error)}`);
  document.body.dataset.state = "ended";
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
  const parts = (resource.component || []).map((part) => part.valueQuantity).filter(Boolean);
  const quantity = resource.valueQuantity || (parts.length ? { ...parts[0], value: parts.map((part) => part.value).join("/") } : null);
  const value = quantity ? `${quantity.value} ${quantity.unit || ""}` : "";
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
    if (hasEnded(error)) throw error;
    section.append(element("p", `${error.status === 404 ? "Not found" : "Not allowed"}: ${reasonOf(error)}`));
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
    if (hasEnded(error)) return end(error);
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
  // After a reload the library finds its session again by this key.
  if (!asked.has("code") && !sessionStorage.getItem("SMART_KEY")) return;
  const client = await FHIR.oauth2.ready();
  if (!client.state.tokenResponse) return;
  at("more").addEventListener("click", () => show(client));
  at("renew").addEventListener("click", () => client.refresh().then(() => show(client), (error) => (hasEnded(error) ? end(error) : say(error))));
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
