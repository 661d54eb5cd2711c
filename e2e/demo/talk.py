"""Goes on talking until its input ends; prints one line a call."""

import select
import sys

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="gpt-4o-mini", max_tokens=500, max_retries=0)
while not select.select([sys.stdin], [], [], 0.1)[0]:
    try:
        model.invoke("What is the capital of France?")
        print("answered", flush=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the demo is to show it
        print(f"failed: {type(error).__name__} {error}", flush=True)
