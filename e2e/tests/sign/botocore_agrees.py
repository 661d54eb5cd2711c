"""A service of AWS that signs every request again with botocore, and the calls to it.

It prints where it listens, reads where the sidecar listens, calls itself through that, and ends well when every signature agrees.
"""

import hashlib
import http.client
import http.server
import json
import re
import ssl
import sys
import threading
from datetime import datetime, timedelta, timezone

import boto3
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

KEY_ID, SECRET, TOKEN = "AKIDREAL", "se/cr+et", "to/ken+=="
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})"
)
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    "metrics": {"latencyMs": 1},
}
seen = []


def verify(method, target, headers, body):
    """Says what is wrong with a signature, or nothing."""
    match = AUTHORIZATION.fullmatch(headers["Authorization"] or "")
    if not match:
        return f"no signature: {headers['Authorization']}"
    key_id, date, region, service, names, signature = match.groups()
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer = signer(Credentials(KEY_ID, SECRET, headers["X-Amz-Security-Token"]), service, region)
    # botocore signs all headers that it is given.
    signed = {name: headers[name] for name in names.split(";")}
    request = AWSRequest(method=method, url=f"http://{headers['Host']}{target}", data=body, headers=signed)
    moment = headers["X-Amz-Date"]
    request.context["timestamp"] = moment
    canonical = signer.canonical_request(request)
    expected = signer.signature(signer.string_to_sign(request, canonical), request)
    age = datetime.now(timezone.utc) - datetime.strptime(moment, "%Y%m%dT%H%M%S%z")
    if signature != expected:
        return f"another signature than botocore's, over\n{canonical}"
    if key_id != KEY_ID or not moment.startswith(date) or abs(age) > timedelta(minutes=1):
        return f"another key or moment: {headers['Authorization']}, {moment}"
    if "callers-own" in str(headers) + target:
        return f"something of the caller's own: {headers} {target}"
    said = headers["X-Amz-Content-SHA256"]
    if said != "UNSIGNED-PAYLOAD" and said != hashlib.sha256(body).hexdigest():
        return f"another body than was signed: {body!r}"
    if said == "UNSIGNED-PAYLOAD" and service != "s3":
        return "an unsigned body"
    return None


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        wrong = verify(self.command, self.path, self.headers, body)
        seen.append((self.path, wrong))
        answer = json.dumps({"message": wrong} if wrong else ANSWER).encode()
        self.send_response(403 if wrong else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_any

    def log_message(self, *_):
        pass


def call(port, method, target, body=b"", headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    dummy = {"Authorization": "AWS4-HMAC-SHA256 Credential=callers-own", "X-Amz-Date": "callers-own", "X-Amz-Security-Token": "callers-own"}
    connection.request(method, target, body, {**dummy, **headers})
    response = connection.getresponse()
    return response.status, response.read().decode()


def main():
    certificate, key = sys.argv[1:3]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    keys = {"accessKeyId": KEY_ID, "secretAccessKey": SECRET}
    secret = json.dumps({**keys, "sessionToken": TOKEN}, indent=1)
    print(json.dumps({"port": server.server_port, "secret": secret, "without_session": json.dumps(keys)}), flush=True)
    port = json.loads(sys.stdin.readline())["port"]

    js = {"Content-Type": "application/json; charset=utf-8"}
    for route in ("sessioned", "unsessioned", "s3"):
        for method, target, body, headers in [
            ("GET", "/", b"", {}),
            ("GET", "/a?b=2&a=1&a=0&empty=&bare", b"", {}),
            ("GET", "/a?name=a%20b%2Fc&x=%E2%82%AC", b"", {}),
            ("GET", "/a%20b/%E2%82%AC/~c", b"", {}),
            ("GET", "/model/anthropic.claude-v2%3A1/converse", b"", {}),
            ("GET", "/a%2Bb%2Cc%40d%21%28e%29", b"", {}),
            ("POST", "/", b'{"a": 1}', js),
            ("POST", "/", bytes(range(256)) * 300, {}),
            ("POST", "/", b"{}", {"X-Amz-Target": "Service.Action", "X-Amz-Meta-Note": "  two   words ", **js}),
            ("PUT", "/key", b"x", {"Content-MD5": "ndTkDSV0Xv5gDAIAA0Dh6A=="}),
            ("DELETE", "/key", b"", {}),
            ("HEAD", "/key", b"", {}),
            ("GET", "/a?X-Amz-Signature=callers-own&X-Amz-Credential=callers-own&b=1", b"", {}),
        ]:
            status, text = call(port, method, f"/{route}{target}", body, headers)
            assert status == 200, f"{route} {method} {target}: {status} {text}"

    # And an SDK that was told nothing but where the sidecar is.
    client = boto3.client(
        "bedrock-runtime",
        region_name="eu-central-1",
        endpoint_url=f"http://127.0.0.1:{port}/sessioned",
        aws_access_key_id="callers-own",
        aws_secret_access_key="callers-own",
        config=Config(retries={"max_attempts": 1}),
    )
    answer = client.converse(modelId="eu.anthropic.claude-sonnet-4-20250514-v1:0", messages=[{"role": "user", "content": [{"text": "héllo"}]}])
    assert answer["output"]["message"]["content"][0]["text"] == "hello", answer
    assert len(seen) == 3 * 13 + 1 and not any(wrong for _, wrong in seen), seen


main()
