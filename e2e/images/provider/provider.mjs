// Serves aimock as a provider is served: over TLS with HTTP/1.1 and HTTP/2, and says what it was sent.
//
// Each request is one line of JSON on standard output: protocol, method, path, every header (keys too, which aimock's
// own journal hides), and the status of the answer, or `"aborted": true` where it did not come to its end.
// Arguments go to aimock (`--latency 50`, `--chaos-disconnect 1`, …); AIMOCK_API_KEYS makes it refuse all other keys.
//
//   :8443  TLS, with /tls/tls.crt and /tls/tls.key      :8080  plain HTTP      both: /health, /__aimock/… are not recorded
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";

const AIMOCK = { host: "127.0.0.1", port: 4010 };
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
  if (req.url === "/health" || req.url.startsWith("/__aimock/")) return;
  const line = { protocol: req.httpVersion, method: req.method, path: req.url, headers: received(req) };
  console.log(JSON.stringify({ ...line, ...outcome }));
}

// A provider that breaks off must look like one: no orderly end.
const breakOff = (res) =>
  res.stream ? res.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR) : res.destroy();

function serve(req, res) {
  let outcome = { aborted: true };
  res.on("close", () => record(req, outcome));
  const host = req.headers[":authority"] ?? req.headers.host;
  const headers = { ...forwarded(req.headers), host };
  const inner = http.request({ ...AIMOCK, method: req.method, path: req.url, headers }, (answer) => {
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

function healthy() {
  return new Promise((resolve) => {
    http.get({ ...AIMOCK, path: "/health" }, (res) => resolve(res.resume().statusCode === 200)).on("error", () => resolve(false));
  });
}

const cli = "/app/node_modules/@copilotkit/aimock/dist/cli.js";
const options = ["--host", AIMOCK.host, "--port", AIMOCK.port, "--fixtures", "/app/fixtures.json", "--log-level", "warn"];
// Standard output is for the record alone.
const aimock = spawn(process.execPath, [cli, ...options, ...process.argv.slice(2)], { stdio: ["ignore", 2, 2] });
aimock.on("exit", (code) => process.exit(code ?? 1));
// The first process of a container has no default action for a signal.
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => aimock.kill() && process.exit(0));

while (!(await healthy())) await new Promise((resolve) => setTimeout(resolve, 50));
const [cert, key] = [readFileSync("/tls/tls.crt"), readFileSync("/tls/tls.key")];
http2.createSecureServer({ cert, key, allowHTTP1: true }, serve).listen(8443);
http.createServer(serve).listen(8080);
