"""Calls the provider over and over; prints one line a call: `ok`, or the error. Ends after the call that SIGTERM interrupts."""

import signal
import time

from langchain_openai import ChatOpenAI

going = True


def stop(*_):
    global going
    going = False


signal.signal(signal.SIGTERM, stop)
model = ChatOpenAI(model="gpt-4o-mini", max_retries=0)
while going:
    # Other programs want to run on this machine too.
    time.sleep(0.05)
    try:
        model.invoke("What is the capital of France?")
        print("ok", flush=True)
    except Exception as error:  # noqa: BLE001 - the test wants to see whatever a program would see
        print(f"failed {type(error).__name__}: {error}", flush=True)
