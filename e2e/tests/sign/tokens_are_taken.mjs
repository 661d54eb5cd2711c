// oidc-provider, a certified OAuth 2.0 server, and a service that asks it about every token.
//
// It prints where it listens, reads where the sidecar listens, and ends well when its own tokens arrive, are kept, and are replaced once revoked.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import https from "node:https";
import { createRequire } from "node:module";
import { createInterface } from "node:readline/promises";
import { pathToFileURL } from "node:url";

const [modules, certificate, key] = process.argv.slice(2);
const found = createRequire(`${modules}/`).resolve("oidc-provider");
const { Provider } = await import(pathToFileURL(found));

// Characters that HTTP Basic and forms read otherwise, if they are not encoded.
const secret = "a:b%2F+c &=~?";
let provider;
const tokens = [];
const server = https.createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, async (request, response) => {
  if (!request.url.startsWith("/service")) {
    return provider.callback()(request, response);
  }
  const text = request.headers.authorization?.replace(/^Bearer /, "");
  const token = await provider.ClientCredentials.find(text);
  tokens.push(token && text);
  response.writeHead(token ? 200 : 401).end(token ? `${token.clientId} ${token.scope}` : "revoked");
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address();
const client = (client_id, token_endpoint_auth_method) => ({
  client_id,
  client_secret: secret,
  token_endpoint_auth_method,
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
});
provider = new Provider(`https://127.0.0.1:${port}`, {
  clients: [client("bot:1", "client_secret_basic"), client("form", "client_secret_post")],
  features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
  scopes: ["crm.read", "crm.write"],
  ttl: { ClientCredentials: 600 },
});
console.log(JSON.stringify({ port, secret, wrong: "wrong" }));

const input = createInterface({ input: process.stdin });
const { value } = await input[Symbol.asyncIterator]().next();
const base = `http://127.0.0.1:${JSON.parse(value).port}`;
const get = async (path) => {
  const response = await fetch(base + path);
  return `${response.status} ${await response.text()}`;
};

const together = await Promise.all(Array.from({ length: 20 }, () => get("/header/service")));
assert.ok(together.every((answer) => answer === "200 bot:1 crm.read crm.write"), String(together));
assert.equal(new Set(tokens).size, 1, "one token for all");
assert.equal(await get("/form/service"), "200 form crm.read crm.write");
const refused = await get("/wrong/service");
assert.ok(refused.startsWith("502 ") && refused.includes("invalid_client"), refused);

await (await provider.ClientCredentials.find(tokens[0])).destroy();
assert.equal(await get("/header/service"), "401 revoked");
assert.equal(await get("/header/service"), "200 bot:1 crm.read crm.write");
assert.notEqual(tokens.at(-1), tokens[0]);
process.exit(0);
