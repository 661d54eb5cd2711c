"""What LangChain's clients read of answers in which something is masked: whole, streamed, and as the arguments of a tool."""

import functools
import json

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI

MODELS = {
    "openai": lambda: ChatOpenAI(model="gpt-4o-mini", stream_usage=True),
    "responses": lambda: ChatOpenAI(model="gpt-4o-mini", use_responses_api=True),
    "anthropic": lambda: ChatAnthropic(model="claude-sonnet-4-5", max_tokens=256),
    "gemini": lambda: ChatGoogleGenerativeAI(model="gemini-2.5-flash"),
    "mistral": lambda: ChatMistralAI(model="mistral-small-latest"),
    "ollama": lambda: ChatOllama(model="llama3.2"),
}
# As fixtures.json has it, masked.
SAID = "Ask [EMAIL] about [CASE_ID], or \u8a0a\u5546 <[EMAIL]>."
ARGUMENTS = {"to": "[EMAIL]", "text": "Your \"card\" is [CREDIT_CARD].\nBye"}


@tool
def send_mail(to: str, text: str) -> str:
    """Sends a mail."""
    return "sent"


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def joined(chunks):
    return functools.reduce(lambda one, other: one + other, chunks)


def test_a_whole_answer_is_masked(model):
    assert model.invoke("Whom to ask?").text == SAID


def test_a_stream_is_masked(model):
    chunks = list(model.stream("Whom to ask?"))
    assert len(chunks) > 5
    assert joined(chunks).text == SAID


def test_the_arguments_of_a_tool_are_masked(model):
    [call] = model.bind_tools([send_mail]).invoke("Mail it.").tool_calls
    assert call["args"] == ARGUMENTS


def test_the_arguments_of_a_tool_are_masked_in_a_stream(model):
    chunks = model.bind_tools([send_mail]).stream("Mail it.")
    # Joined by hand: ChatMistralAI takes every piece for a call of its own, since Mistral sends them whole.
    arguments = "".join(part["args"] for chunk in chunks for part in chunk.tool_call_chunks)
    assert json.loads(arguments) == ARGUMENTS
