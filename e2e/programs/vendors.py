"""The calls of many vendors, and a vector store, against whatever the environment points at; prints one JSON line a call, as traffic.py does."""

import os

import chromadb
from langchain_aws import ChatBedrockConverse
from langchain_chroma import Chroma
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from report import ANSWER, JOKE, STREAM, TOOL, collected, joined, report, shown, waited, weather


def calls():
    """(name, what to do) for every call."""
    chat = {
        "responses": ChatOpenAI(model="gpt-4o-mini", use_responses_api=True, max_retries=0),
        # A second attempt after a failure would take time and show nothing else.
        "gemini": ChatGoogleGenerativeAI(model="gemini-2.5-flash", max_retries=1),
        "mistral": ChatMistralAI(model="mistral-small-latest", max_retries=1),
        "ollama": ChatOllama(model="llama3.2"),
    }
    chat["bedrock"] = ChatBedrockConverse(model="anthropic.claude-3-haiku-20240307-v1:0")
    for name, model in chat.items():
        yield f"{name}.invoke", lambda model=model: shown(model.invoke(ANSWER))
        yield f"{name}.ainvoke", lambda model=model: shown(waited(model.ainvoke(ANSWER)))
        yield f"{name}.stream", lambda model=model: joined(list(model.stream(STREAM)))
        yield f"{name}.astream", lambda model=model: joined(waited(collected(model.astream(STREAM))))
        tools = model.bind_tools([weather])
        yield f"{name}.tools", lambda tools=tools: shown(tools.invoke(TOOL))
        yield f"{name}.tools.stream", lambda tools=tools: joined(list(tools.stream(TOOL)))
        joke = model.with_structured_output(JOKE)
        yield f"{name}.structured", lambda joke=joke: joke.invoke("Tell me a joke.")
        # Mistral's error names the address that was called, which is not the same; what plays Bedrock has none of its own.
        if name not in ("mistral", "bedrock"):
            yield f"{name}.busy", lambda model=model: shown(model.invoke("Be busy."))
    yield "chroma", vectors


def vectors():
    """Three texts go into a collection of this pod's own, and the nearest come out of it."""
    embeddings = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False)
    client = chromadb.HttpClient(host=os.environ["CHROMA_URL"], headers={"X-Chroma-Token": os.environ["CHROMA_TOKEN"]})
    store = Chroma(client=client, collection_name=f"python-{os.uname().nodename}", embedding_function=embeddings)
    store.add_texts(["a small gate", "a tall tower", "a deep moat"], ids=["gate", "tower", "moat"])
    found = store.similarity_search_with_score("a small gate", k=2)
    kept = sorted(store.get()["documents"])
    store.delete(["moat"])
    left = sorted(store.get()["ids"])
    store.delete_collection()
    return {"found": [(document.page_content, round(score, 4)) for document, score in found], "kept": kept, "left": left}


report(calls())
