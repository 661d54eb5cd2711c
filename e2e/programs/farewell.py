"""Reads slow streams, one after the other; told to stop, reads the one that it is in to its end and makes one more call.

What came of both goes to the provider, in the header `x-farewell` of a last call: when the pod is gone, so is its log.
"""

import signal

from langchain_openai import ChatOpenAI

QUESTION = "What is the capital of France?"
going = True


def stop(*_):
    global going
    going = False


signal.signal(signal.SIGTERM, stop)
model = ChatOpenAI(model="gpt-4o-mini", max_retries=0)
while going:
    text = "".join(chunk.content for chunk in model.stream("Write slowly."))
streamed = "whole" if text == "tick " * 50 else "broken"
answered = "answered" if model.invoke(QUESTION).content == "Paris is the capital of France." else "failed"
model.invoke(QUESTION, extra_headers={"x-farewell": f"{streamed} {answered}"})
