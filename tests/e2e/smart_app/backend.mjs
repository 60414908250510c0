// Signs in with a key of its own (client_credentials, private_key_jwt, ES384) and reads with the token it gets.
// node backend.mjs ISSUER FHIR_BASE CLIENT_ID SCOPE, the private key as JWK on standard input; prints JSON.
import { readFileSync } from "node:fs";
import * as oauth from "oauth4webapi";

const [, , issuer, fhir, clientId, scope] = process.argv;
const insecure = { [oauth.allowInsecureRequests]: true };
const { kid, ...jwk } = JSON.parse(readFileSync(0, "utf8"));
const key = await crypto.subtle.importKey("jwk", jwk, { name: "ECDSA", namedCurve: "P-384" }, false, ["sign"]);

const discovered = await oauth.discoveryRequest(new URL(issuer), insecure);
const server = await oauth.processDiscoveryResponse(new URL(issuer), discovered);
const client = { client_id: clientId };
const authentication = oauth.PrivateKeyJwt({ key, kid }, {
  // SMART asks for the token endpoint as the audience; the library's default is the issuer.
  [oauth.modifyAssertion]: (_, payload) => { payload.aud = server.token_endpoint; },
});
const parameters = new URLSearchParams({ scope });
const answered = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, insecure);
const token = await oauth.processClientCredentialsResponse(server, client, answered);

const get = async (path) => {
  const answer = await oauth.protectedResourceRequest(
    token.access_token, "GET", new URL(fhir + path), new Headers({ Accept: "application/fhir+json" }), null, insecure);
  return { status: answer.status, body: await answer.json() };
};
const patients = await get("/Patient?_count=2");
const refused = await fetch(fhir + "/Observation?_count=1", { headers: { Authorization: `Bearer ${token.access_token}` } });
console.log(JSON.stringify({
  expires: token.expires_in,
  scope: token.scope,
  hasRefresh: token.refresh_token !== undefined,
  patients: patients.status,
  found: patients.body.entry?.length ?? 0,
  other: refused.status,
}));
