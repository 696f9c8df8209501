// oidc-provider with its own pages: whoever is named below signs in with any password.
// Arguments: port, client id, client secret, redirect URI. It ends when its standard input does.
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const [port, clientId, clientSecret, redirectUri] = process.argv.slice(2);
const key = { ...generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" }), use: "sig" };
const people = {
  doctor: { name: "Dr Dora Demo", fhirUser: "Practitioner/practitioner-1" },
  patient: { name: "Pat A", fhirUser: "Patient/pat-a" },
  clerk: { name: "Carl Clerk" },
  newcomer: { name: "Nina New" },
  nurse: { name: "Nora Nurse", fhirUser: "Practitioner/practitioner-1" },
  porter: { name: "Paul Porter" },
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: clientId,
      client_secret: clientSecret,
      redirect_uris: [redirectUri],
      backchannel_logout_uri: redirectUri.replace("/signed-in", "/backchannel-logout"),
      backchannel_logout_session_required: true,
    },
  ],
  // Without the check of addresses: the gateway of a test listens on loopback.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  features: { backchannelLogout: { enabled: true } },
  claims: { openid: ["sub"], profile: ["name", "fhirUser"] },
  findAccount: (_, id) => (people[id] ? { accountId: id, claims: () => ({ sub: id, ...people[id] }) } : undefined),
  cookies: { keys: ["a key for tests"] },
  jwks: { keys: [key] },
});
provider.listen(Number(port), "127.0.0.1");
process.stdin.resume().on("end", () => process.exit(0));
