"""LangChain's own standard tests of chat models and embeddings, for each vendor, against whatever the environment points at."""

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_google_genai import ChatGoogleGenerativeAI
from langchain_mistralai import ChatMistralAI
from langchain_ollama import ChatOllama
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests


class TestOpenAI(ChatModelIntegrationTests):
    chat_model_class = ChatOpenAI
    chat_model_params = {"model": "gpt-4o-mini", "stream_usage": True}


class TestOpenAIResponses(ChatModelIntegrationTests):
    chat_model_class = ChatOpenAI
    chat_model_params = {"model": "gpt-4o-mini", "use_responses_api": True}


class TestAnthropic(ChatModelIntegrationTests):
    chat_model_class = ChatAnthropic
    chat_model_params = {"model": "claude-sonnet-4-5", "max_tokens": 256}


class TestGemini(ChatModelIntegrationTests):
    chat_model_class = ChatGoogleGenerativeAI
    chat_model_params = {"model": "gemini-2.5-flash"}


class TestMistral(ChatModelIntegrationTests):
    chat_model_class = ChatMistralAI
    chat_model_params = {"model": "mistral-small-latest"}


class TestOllama(ChatModelIntegrationTests):
    chat_model_class = ChatOllama
    chat_model_params = {"model": "llama3.2"}


class TestOpenAIEmbeddings(EmbeddingsIntegrationTests):
    embeddings_class = OpenAIEmbeddings
    embedding_model_params = {"model": "text-embedding-3-small", "check_embedding_ctx_length": False}
