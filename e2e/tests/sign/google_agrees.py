"""Google's server of tokens, as far as google-auth knows it: it checks the claim of a service account, and a service that takes the tokens.

It prints where it listens and the account's key file, reads where the sidecar listens, and ends well when both kinds of tokens are had and sent.
"""

import http.client
import http.server
import json
import ssl
import sys
import threading
import time
import urllib.parse

import google.auth.crypt
import google.auth.jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

EMAIL, KEY_ID = "bot@project.iam.gserviceaccount.com", "k1"
SCOPE, AUDIENCE = "https://www.googleapis.com/auth/cloud-platform", "https://run.example.com"
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
claims_seen, sent = [], []


class Google(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
        try:
            assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer", form["grant_type"]
            # Signature, time and audience; the key must be the one that the token names.
            url = f"https://{self.headers['Host']}{self.path}"
            claims = google.auth.jwt.decode(form["assertion"], certs={KEY_ID: public}, audience=url)
            assert claims["iss"] == EMAIL, claims
        except Exception as error:
            self.answer(400, {"error": "invalid_grant", "error_description": str(error)})
            return
        claims_seen.append(claims)
        if "target_audience" in claims:
            now = int(time.time())
            identity = {"aud": claims["target_audience"], "iss": "https://accounts.google.com", "iat": now, "exp": now + 3600}
            signer = google.auth.crypt.RSASigner.from_string(pem, "google")
            self.answer(200, {"id_token": google.auth.jwt.encode(signer, identity).decode()})
        else:
            self.answer(200, {"access_token": "ya29.access", "token_type": "Bearer", "expires_in": 3599, "scope": claims["scope"]})

    def do_GET(self):
        sent.append(self.headers["Authorization"])
        self.answer(200, {})

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    response = connection.getresponse()
    return response.status, response.read().decode()


def main():
    certificate, server_key = sys.argv[1:3]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Google)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, server_key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": KEY_ID,
        "private_key": pem,
        "client_email": EMAIL,
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = stranger.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    wrong = {**file, "private_key": forged}
    print(json.dumps({"port": server.server_port, "secret": json.dumps(file, indent=2), "wrong": json.dumps(wrong)}), flush=True)
    port = json.loads(sys.stdin.readline())["port"]

    for _ in range(2):
        assert get(port, "/access/x")[0] == 200
        assert get(port, "/identity/x")[0] == 200
    status, text = get(port, "/wrong/x")
    assert status == 502 and "invalid_grant" in text, f"{status} {text}"
    assert sent[0] == sent[2] == "Bearer ya29.access", sent
    identity = google.auth.jwt.decode(sent[1].removeprefix("Bearer "), certs={"google": public}, audience=AUDIENCE)
    assert identity["aud"] == AUDIENCE and sent[3] == sent[1]
    access, target = claims_seen
    assert access["scope"] == SCOPE and target["target_audience"] == AUDIENCE, claims_seen


main()
