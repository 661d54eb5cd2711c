"""Calls the provider so many times a second, every tenth time by a slow stream; prints one line a call: `ok`, or what went wrong.

After SIGTERM it begins no more calls, and ends when those on their way have. Headers `x-began`: milliseconds since 1970; `x-slow`: whether by a stream.
"""

import asyncio
import signal
import sys
import time

from langchain_openai import ChatOpenAI

rate = float(sys.argv[1])
model = ChatOpenAI(model="gpt-4o-mini", max_retries=0)


async def call(number):
    slow = number % 10 == 0
    headers = {"x-began": str(time.time_ns() // 1_000_000), "x-slow": str(slow).lower()}
    try:
        if slow:
            text = "".join([chunk.content async for chunk in model.astream("Write slowly.", extra_headers=headers)])
            expected = "tick " * 50
        else:
            text = (await model.ainvoke("What is the capital of France?", extra_headers=headers)).content
            expected = "Paris is the capital of France."
        print("ok" if text == expected else f"failed: {text}", flush=True)
    except Exception as error:  # noqa: BLE001 - the test wants to see whatever a program would see
        print(f"failed: {type(error).__name__} {error}", flush=True)


async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    start = time.monotonic()
    number = 0
    async with asyncio.TaskGroup() as calls:
        while not stop.is_set():
            calls.create_task(call(number))
            number += 1
            # By the clock, so that a busy machine makes calls late, but not fewer.
            await asyncio.sleep(max(0, start + number / rate - time.monotonic()))


asyncio.run(main())
