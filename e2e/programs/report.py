"""What the programs of the cluster tests share: what they ask, what a program reads of an answer, and one JSON line a call."""

import asyncio
import json

from langchain_core.tools import tool

# What the mock provider has an answer for: e2e/images/provider/fixtures.json.
ANSWER = "What is the capital of France?"
STREAM = "Count to five."
TOOL = "What is the weather in Paris?"


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


JOKE = {
    "title": "Joke",
    "description": "A joke.",
    "type": "object",
    "properties": {"setup": {"type": "string"}, "punchline": {"type": "string"}},
    "required": ["setup", "punchline"],
}


def content(message):
    """What a message says, without the provider's random ids."""
    if isinstance(message.content, str):
        return message.content
    return [{name: value for name, value in part.items() if name != "id"} for part in message.content]


def shown(message):
    """What a program reads of a message."""
    return {
        "content": content(message),
        "tool_calls": [{"name": call["name"], "args": call["args"]} for call in message.tool_calls],
        "usage": message.usage_metadata,
        "model": message.response_metadata.get("model_name"),
        "finish": message.response_metadata.get("finish_reason") or message.response_metadata.get("stop_reason"),
    }


def joined(chunks):
    """A stream's chunks, one by one and added up."""
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return {"chunks": [content(chunk) for chunk in chunks], "whole": shown(whole)}


# One loop for all calls, as a program has it: LangChain keeps connections, which belong to the loop that opened them.
LOOP = asyncio.new_event_loop()


def waited(awaitable):
    return LOOP.run_until_complete(awaitable)


async def collected(stream):
    return [chunk async for chunk in stream]


def report(calls):
    """Makes the calls, (name, what to do) each, and prints what came of them."""
    for name, call in calls:
        try:
            line = {"call": name, "result": call()}
        except Exception as error:  # noqa: BLE001 - the test wants to see whatever a program would see
            line = {"call": name, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(line, sort_keys=True), flush=True)
