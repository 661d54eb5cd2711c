"""Makes one call of each provider that no policy allows; prints one JSON line a call: what LangChain raised.

Retries are as LangChain has them: a denial must not be tried again.
"""

import json

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI

for name, model in (
    ("openai", ChatOpenAI(model="gpt-5-pro", use_responses_api=True)),
    ("anthropic", ChatAnthropic(model="claude-opus-4-5", max_tokens=256)),
):
    try:
        line = {"call": name, "result": model.invoke("Plan my year.").content}
    except Exception as error:  # noqa: BLE001 - the test wants to see whatever a program would see
        kinds = [kind.__name__ for kind in type(error).__mro__]
        line = {"call": name, "kinds": kinds, "status": getattr(error, "status_code", None), "message": str(error)}
    print(json.dumps(line), flush=True)
