"""moto, which checks signatures and permissions of every call after the first three, and boto3's calls to it.

It prints where it listens and the keys that it knows, reads where the sidecar listens, and ends well when moto takes what the sidecar signs with
these keys and refuses all else.
"""

import json
import os
import sys
import threading

# Enough to make a user, its rights and its keys.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


class Tampering:
    """Between the sidecar and moto: what comes for one object is turned to another."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        for name in ("PATH_INFO", "RAW_URI", "REQUEST_URI"):
            if name in environ:
                environ[name] = environ[name].replace("/mine", "/yours")
        return self.app(environ, start_response)


def client(service, base, key="callers-own"):
    return boto3.client(
        service,
        region_name="us-east-1",
        endpoint_url=base,
        aws_access_key_id=key,
        aws_secret_access_key=key,
        config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def refused(call):
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError("it was accepted")


def main():
    certificate, key = sys.argv[1:3]
    app = DomainDispatcherApplication(create_backend_app)
    tls = make_server("127.0.0.1", 0, Tampering(app), threaded=True, request_handler=Quiet, ssl_context=(certificate, key))
    threading.Thread(target=tls.serve_forever, daemon=True).start()
    straight = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=straight.serve_forever, daemon=True).start()

    iam = client("iam", f"http://127.0.0.1:{straight.server_port}")
    iam.create_user(UserName="bot")
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="bot", PolicyName="all", PolicyDocument=json.dumps(rights))
    keys = iam.create_access_key(UserName="bot")["AccessKey"]
    # As AWS prints them.
    secret = {name: keys[name] for name in ("AccessKeyId", "SecretAccessKey")}
    wrong = {**secret, "SecretAccessKey": "wrong"}
    print(json.dumps({"port": tls.server_port, "secret": json.dumps(secret), "wrong": json.dumps(wrong)}), flush=True)
    port = json.loads(sys.stdin.readline())["port"]
    base = f"http://127.0.0.1:{port}"

    # Straight, the keys of the application are worth nothing.
    assert refused(client("s3", f"http://127.0.0.1:{straight.server_port}").list_buckets) == "InvalidAccessKeyId"

    s3 = client("s3", f"{base}/s3")
    s3.create_bucket(Bucket="bucket")
    for name in ("plain", "a b+c/ü~(1)"):
        s3.put_object(Bucket="bucket", Key=name, Body=b"content of " + name.encode(), Metadata={"note": "x"})
        assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == b"content of " + name.encode()
    listed = s3.list_objects_v2(Bucket="bucket", Prefix="a b+", MaxKeys=10)
    assert [entry["Key"] for entry in listed["Contents"]] == ["a b+c/ü~(1)"], listed
    sts = client("sts", f"{base}/sts")
    assert sts.get_caller_identity()["Arn"].endswith(":user/bot")

    assert refused(lambda: s3.put_object(Bucket="bucket", Key="mine", Body=b"x")) == "SignatureDoesNotMatch"
    assert refused(client("s3", f"{base}/wrong").list_buckets) == "SignatureDoesNotMatch"


main()
