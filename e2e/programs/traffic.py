"""Every kind of call that LangChain makes, against whatever the environment points at; prints one JSON line a call.

The cluster tests run it twice, straight at the provider with its key and through the sidecar without one, and compare the lines.
What fails at the provider is among the calls: a program must see the same failure.
"""

import asyncio
import json

from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


ANSWER = "What is the capital of France?"
STREAM = "Count to five."
TOOL = "What is the weather in Paris?"


def shown(message):
    """What a program reads of a message, without the provider's random ids."""
    return {
        "content": message.content,
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
    return {"chunks": [chunk.content for chunk in chunks], "whole": shown(whole)}


async def collected(stream):
    return [chunk async for chunk in stream]


# One loop for all calls, as a program has it: LangChain keeps connections, which belong to the loop that opened them.
LOOP = asyncio.new_event_loop()


def calls():
    """(name, what to do) for every call."""
    for name, model in (
        # One attempt each: a second one after a failure would take time and show nothing else.
        ("openai", ChatOpenAI(model="gpt-4o-mini", stream_usage=True, max_retries=0)),
        ("anthropic", ChatAnthropic(model="claude-sonnet-4-5", max_tokens=256, max_retries=0)),
    ):
        tools = model.bind_tools([weather])
        yield f"{name}.invoke", lambda model=model: shown(model.invoke(ANSWER))
        yield f"{name}.ainvoke", lambda model=model: shown(LOOP.run_until_complete(model.ainvoke(ANSWER)))
        yield f"{name}.stream", lambda model=model: joined(list(model.stream(STREAM)))
        yield f"{name}.astream", lambda model=model: joined(LOOP.run_until_complete(collected(model.astream(STREAM))))
        yield f"{name}.tools", lambda tools=tools: shown(tools.invoke(TOOL))
        yield f"{name}.tools.stream", lambda tools=tools: joined(list(tools.stream(TOOL)))
        yield f"{name}.busy", lambda model=model: shown(model.invoke("Be busy."))
        yield f"{name}.broken", lambda model=model: shown(model.invoke("Be broken."))
        yield f"{name}.break_off", lambda model=model: joined(list(model.stream("Break off.")))
    embeddings = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
    yield "openai.embed_query", lambda: embeddings.embed_query("postern")
    yield "openai.embed_documents", lambda: embeddings.embed_documents(["a", "b"])


for name, call in calls():
    try:
        line = {"call": name, "result": call()}
    except Exception as error:  # noqa: BLE001 - the test wants to see whatever a program would see
        line = {"call": name, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(line, sort_keys=True), flush=True)
