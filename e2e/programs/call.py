"""Makes one call of OpenAI's API, as the environment says, with nothing but Python's own library; prints one line of JSON.

Arguments: the path below the base URL, and what to say to the model.
"""

import json
import os
import sys
import urllib.error
import urllib.request

path, words = sys.argv[1:]
# A pod that was created before its identity has no address in its environment; where the sidecar listens is no secret.
base = os.environ.get("OPENAI_BASE_URL", "http://127.0.0.1:14080/openai/v1")
key = os.environ.get("OPENAI_API_KEY", "none")
body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": words}]}
request = urllib.request.Request(
    base + path,
    data=json.dumps(body).encode(),
    headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
)
try:
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as refused:
        answer = refused
    result = {"status": answer.status, "reason": answer.headers["postern-reason"], "body": answer.read().decode()}
except OSError as error:
    result = {"status": None, "reason": None, "body": str(error)}
print(json.dumps(result))
