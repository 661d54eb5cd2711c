"""Every kind of call that LangChain makes, against whatever the environment points at; prints one JSON line a call.

The cluster tests run it twice, straight at the provider with its key and through the sidecar without one, and compare the lines.
What fails at the provider is among the calls: a program must see the same failure.
"""

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from report import ANSWER, JOKE, STREAM, TOOL, collected, joined, report, shown, waited, weather


def calls():
    """(name, what to do) for every call."""
    for name, model in (
        # One attempt each: a second one after a failure would take time and show nothing else.
        ("openai", ChatOpenAI(model="gpt-4o-mini", stream_usage=True, max_retries=0)),
        ("anthropic", ChatAnthropic(model="claude-sonnet-4-5", max_tokens=256, max_retries=0)),
    ):
        tools = model.bind_tools([weather])
        yield f"{name}.invoke", lambda model=model: shown(model.invoke(ANSWER))
        yield f"{name}.ainvoke", lambda model=model: shown(waited(model.ainvoke(ANSWER)))
        yield f"{name}.stream", lambda model=model: joined(list(model.stream(STREAM)))
        yield f"{name}.astream", lambda model=model: joined(waited(collected(model.astream(STREAM))))
        yield f"{name}.tools", lambda tools=tools: shown(tools.invoke(TOOL))
        yield f"{name}.tools.stream", lambda tools=tools: joined(list(tools.stream(TOOL)))
        joke = model.with_structured_output(JOKE)
        yield f"{name}.structured", lambda joke=joke: joke.invoke("Tell me a joke.")
        yield f"{name}.busy", lambda model=model: shown(model.invoke("Be busy."))
        yield f"{name}.broken", lambda model=model: shown(model.invoke("Be broken."))
        yield f"{name}.break_off", lambda model=model: joined(list(model.stream("Break off.")))
    embeddings = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
    yield "openai.embed_query", lambda: embeddings.embed_query("postern")
    yield "openai.embed_documents", lambda: embeddings.embed_documents(["a", "b"])
    yield "openai.aembed_query", lambda: waited(embeddings.aembed_query("postern"))
    yield "openai.aembed_documents", lambda: waited(embeddings.aembed_documents(["a", "b"]))


report(calls())
