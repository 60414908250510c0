// Signs in with a key of its own (client_credentials, private_key_jwt, ES384) and reads with the token it gets.
// node backend.mjs ISSUER FHIR_BASE CLIENT_ID SCOPE PATH..., the private key as JWK on standard input; prints JSON.
import { readFileSync } from "node:fs";
import * as oauth from "oauth4webapi";

const [, , issuer, fhir, clientId, scope, ...paths] = process.argv;
const insecure = { [oauth.allowInsecureRequests]: true };
const { kid, alg, ...jwk } = JSON.parse(readFileSync(0, "utf8"));
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

async function read(path) {
  const headers = { Accept: "application/fhir+json", Authorization: `Bearer ${token.access_token}` };
  const answer = await fetch(fhir + path, { headers });
  const body = await answer.json();
  return { status: answer.status, found: (body.entry ?? []).map((each) => each.resource.id).sort() };
}

const answers = {};
for (const path of paths) answers[path] = await read(path);
console.log(JSON.stringify({ expires: token.expires_in, scope: token.scope, members: Object.keys(token), answers }));
