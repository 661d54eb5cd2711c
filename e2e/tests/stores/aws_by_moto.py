"""moto as AWS: it checks the signatures and permissions of every call, and whom a role trusts.

It prints where it listens, over TLS, and then does what it is told: each line of its input is one call of boto3, and each of its output the answer. It does
that as a user who may do everything.
"""

import base64
import json
import sys
import threading

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError, InvalidClientTokenIdError, JsonRESTError, SignatureDoesNotMatchError, _RESTError
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


authenticate = ActionAuthenticatorMixin._authenticate_and_authorize_action


def as_aws_writes(error, is_json):
    """The refusals of moto have an element too many, and are XML for services that speak JSON, where AWS calls them otherwise."""
    if not is_json:
        error.description = error.description.replace("<Errors>", "").replace("</Errors>", "")
        return error
    names = {
        AccessDeniedError: "AccessDeniedException",
        InvalidClientTokenIdError: "UnrecognizedClientException",
        SignatureDoesNotMatchError: "InvalidSignatureException",
    }
    return JsonRESTError(names[type(error)], error.message)


def authenticate_or_look_at_token(self, *rest):
    """Calls with a web identity have no signature, which moto does not know; nor does it look at the token. Its own words are believed here."""
    if self._get_action() != "AssumeRoleWithWebIdentity":
        try:
            return authenticate(self, *rest)
        except (AccessDeniedError, InvalidClientTokenIdError, SignatureDoesNotMatchError) as error:
            raise as_aws_writes(error, "X-Amz-Target" in self.headers) from None
    payload = self.data["WebIdentityToken"][0].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    if claims["aud"] != ["sts.amazonaws.com"] or claims["sub"] != "system:serviceaccount:agents:postern":
        raise as_aws_writes(_RESTError("InvalidIdentityToken", "not for us"), False)


ActionAuthenticatorMixin._authenticate_and_authorize_action = authenticate_or_look_at_token


def main():
    app = DomainDispatcherApplication(create_backend_app)
    straight = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=straight.serve_forever, daemon=True).start()
    tls = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet, ssl_context=tuple(sys.argv[1:3]))
    threading.Thread(target=tls.serve_forever, daemon=True).start()

    keys = {"AccessKeyId": "nobody", "SecretAccessKey": "nobody"}

    def client(service):
        return boto3.client(
            service,
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{straight.server_port}",
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            config=Config(retries={"max_attempts": 1}),
        )

    iam = client("iam")
    iam.create_user(UserName="root")
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="root", PolicyName="all", PolicyDocument=json.dumps(rights))
    keys = iam.create_access_key(UserName="root")["AccessKey"]
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0

    print(json.dumps({"port": tls.server_port}), flush=True)
    for line in sys.stdin:
        call = json.loads(line)
        if "SecretBinary" in call["with"]:
            call["with"]["SecretBinary"] = base64.b64decode(call["with"]["SecretBinary"])
        try:
            answer = getattr(client(call["service"]), call["call"])(**call["with"])
        except ClientError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer, default=str), flush=True)


main()
