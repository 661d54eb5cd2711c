// Serves what plays the providers as a provider is served: over TLS with HTTP/1.1 and HTTP/2, and says what it was sent.
//
// The host that a caller asks for decides who answers: aimock, a mock of many providers; a real Chroma for `chroma.…`; ministack, a mock of
// AWS, for `aws.…` and `bedrock-runtime.…`, where it asks aimock what to say, tools included, and says it in Bedrock's words. Each request is one
// line of JSON on standard output: protocol, method, path, every header (keys too, which aimock's own journal hides), and the status of the answer,
// or `"aborted": true` where it did not come to its end.
// Arguments go to aimock (`--latency 50`, `--chaos-disconnect 1`, …); AIMOCK_API_KEYS makes it refuse all other keys.
//
// A key that is the body of POST /__provider/revoke is answered with 401 from then on.
//
//   :8443  TLS, with /tls/tls.crt and /tls/tls.key      :8080  plain HTTP      both: /health, /__aimock/…, /__provider/… are not recorded
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";

const LOCAL = "127.0.0.1";
const aimock = ["/app/node_modules/@copilotkit/aimock/dist/cli.js", "--host", LOCAL, "--port", 4010, "--fixtures", "/app/fixtures.json"];
const chroma = "import chromadb_rust_bindings as chroma; chroma.cli(['chroma', 'run', '--path', '/tmp/chroma', '--host', '127.0.0.1', '--port', '4020'])";
const PROVIDERS = [
  { host: /^chroma\./, port: 4020, health: "/api/v2/heartbeat", command: ["python3", "-c", chroma] },
  { host: /^(aws|bedrock-runtime)\./, port: 4030, health: "/_ministack/health", command: ["python3", "-c", "from ministack.app import main; main()"] },
  { host: /^/, port: 4010, health: "/health", command: [process.execPath, ...aimock, "--log-level", "warn", ...process.argv.slice(2)] },
];
// Of one connection, not of the message: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
const CONNECTION = new Set(["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"]);

const forwarded = (headers) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(":") && !CONNECTION.has(name)));

function received(req) {
  const headers = {};
  for (let at = 0; at < req.rawHeaders.length; at += 2) {
    const name = req.rawHeaders[at].toLowerCase();
    const value = req.rawHeaders[at + 1];
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

function record(req, outcome) {
  if (req.url === "/health" || req.url.startsWith("/__")) return;
  const line = { protocol: req.httpVersion, method: req.method, path: req.url, headers: received(req) };
  console.log(JSON.stringify({ ...line, ...outcome }));
}

const revoked = new Set();

async function revoke(req, res) {
  let key = "";
  for await (const part of req) key += part;
  revoked.add(key);
  res.end();
}

// As OpenAI says it: https://platform.openai.com/docs/guides/error-codes
function refuse(res) {
  const error = { message: "Incorrect API key provided.", type: "invalid_request_error", param: null, code: "invalid_api_key" };
  res.writeHead(401, { "content-type": "application/json" }).end(JSON.stringify({ error }));
}

// A provider that breaks off must look like one: no orderly end.
const breakOff = (res) =>
  res.stream ? res.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR) : res.destroy();

async function serve(req, res) {
  if (req.url === "/__provider/revoke") return revoke(req, res);
  let outcome = { aborted: true };
  res.on("close", () => record(req, outcome));
  const host = req.headers[":authority"] ?? req.headers.host ?? "";
  const headers = { ...forwarded(req.headers), host };
  if (Object.values(headers).some((value) => revoked.has(String(value).replace(/^Bearer /, "")))) {
    outcome = { status: 401 };
    return refuse(res);
  }
  const provider = PROVIDERS.find((provider) => provider.host.test(host));
  await provider.ready;
  // Each on a connection of its own: one that is kept may be closed by the mock just as it is used again, which is no failure of a provider.
  const inner = http.request({ host: LOCAL, port: provider.port, method: req.method, path: req.url, headers, agent: false }, (answer) => {
    res.writeHead(answer.statusCode, forwarded(answer.headers));
    answer.pipe(res);
    answer.on("end", () => (outcome = { status: answer.statusCode }));
    // What was passed on before has to be on its way, however busy the machine is.
    answer.on("aborted", () => setTimeout(() => breakOff(res), 100));
  });
  inner.on("error", () => (res.headersSent ? breakOff(res) : res.writeHead(502).end()));
  res.on("close", () => inner.destroy());
  req.pipe(inner);
}

function healthy({ port, health }) {
  return new Promise((resolve) => {
    http.get({ host: LOCAL, port, path: health }, (res) => resolve(res.resume().statusCode === 200)).on("error", () => resolve(false));
  });
}

async function start(provider) {
  const [program, ...options] = provider.command;
  const ministack = { GATEWAY_PORT: "4030", MINISTACK_BEDROCK_PROXY_URL: `http://${LOCAL}:4010` };
  const env = { ...process.env, ...ministack, PYTHONPATH: "/app/site-packages", HOME: "/tmp" };
  // Standard output is for the record alone.
  provider.process = spawn(program, options, { stdio: ["ignore", 2, 2], env });
  provider.process.on("exit", (code) => process.exit(code ?? 1));
  while (!(await healthy(provider))) await new Promise((resolve) => setTimeout(resolve, 50));
}

for (const provider of PROVIDERS) provider.ready = start(provider);
// The first process of a container has no default action for a signal.
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    for (const provider of PROVIDERS) provider.process.kill();
    process.exit(0);
  });
}

// Most callers want aimock, which is ready first; whoever wants another waits for it.
await PROVIDERS.at(-1).ready;
const [cert, key] = [readFileSync("/tls/tls.crt"), readFileSync("/tls/tls.key")];
http2.createSecureServer({ cert, key, allowHTTP1: true }, serve).listen(8443);
http.createServer(serve).listen(8080);
