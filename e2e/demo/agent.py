from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


model = ChatOpenAI(model="gpt-4o-mini", max_tokens=500)
print("answer:    ", model.invoke("What is the capital of France?").content)
print("stream:    ", " | ".join(chunk.content for chunk in model.stream("Count to five.") if chunk.content))
call = model.bind_tools([weather]).invoke("What is the weather in Paris?").tool_calls[0]
print("tool call: ", call["name"], call["args"], "->", weather.invoke(call["args"]))
vector = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False).embed_query("postern")
print("embedding: ", len(vector), "numbers")

for model in ChatOpenAI(model="gpt-4o-mini", max_tokens=8000), ChatOpenAI(model="gpt-5-pro", max_tokens=500):
    try:
        model.invoke("Plan my year.")
    except Exception as error:
        print("refused:   ", type(error).__name__, error)
