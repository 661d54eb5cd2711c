"""What the official SDKs of OpenAI and Anthropic make of limits: python limits.py ANSWERS THROUGH ADMIN.

Each way to read a stream has a credential for each way to limit it, and makes two calls with it. The first is ended (`end`), outlasts its budget
(`finish`), or is all that is allowed (`once`). The second is refused, and no SDK is told how often to try again.
"""

import json
import re
import signal
import sys
import time
import urllib.request

import anthropic
import openai

# How the upstream writes what it says: as a provider does.
WRITING = "1"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": WRITING}], "n": 2}
RESPONSES = {"model": "gpt-4o-mini", "input": WRITING}
# The upstream says more than it is asked for.
MESSAGES = {"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": [{"role": "user", "content": WRITING}]}


def chat(client, texts):
    reasons = []
    for event in client.chat.completions.create(stream=True, **CHAT):
        for choice in event.choices:
            if choice.index == 0:
                texts.append(choice.delta.content or "")
            if choice.finish_reason:
                reasons.append(choice.finish_reason)
    return reasons


def chat_helper(client, texts):
    with client.chat.completions.stream(**CHAT) as stream:
        for event in stream:
            if event.type == "chunk" and event.chunk.choices and event.chunk.choices[0].index == 0:
                texts.append(event.chunk.choices[0].delta.content or "")
        return [choice.finish_reason for choice in stream.get_final_completion().choices]


def responses(client, texts):
    for event in client.responses.create(stream=True, **RESPONSES):
        if event.type == "response.output_text.delta":
            texts.append(event.delta)
    return [event.response.status]


def responses_helper(client, texts):
    with client.responses.stream(**RESPONSES) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                texts.append(event.delta)
        return [stream.get_final_response().status]


def messages(client, texts):
    reasons = []
    for event in client.messages.create(stream=True, **MESSAGES):
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            texts.append(event.delta.text)
        elif event.type == "message_delta":
            reasons.append(event.delta.stop_reason)
    return reasons


def messages_helper(client, texts):
    with client.messages.stream(**MESSAGES) as stream:
        texts.extend(stream.text_stream)
        return [stream.get_final_message().stop_reason]


# The readers, and why a stream ends that nobody ends.
READERS = {
    "chat": (chat, ["tool_calls", "stop"]),
    "chat-helper": (chat_helper, ["tool_calls", "stop"]),
    "responses": (responses, ["completed"]),
    "responses-helper": (responses_helper, ["completed"]),
    "messages": (messages, ["tool_use"]),
    "messages-helper": (messages_helper, ["tool_use"]),
}


def check_end(error, name):
    """The error at the end of a budget."""
    message = f"postern: limit clients/{name} is used up, so the answer ends here"
    if isinstance(error, openai.OpenAIError):
        assert type(error) is openai.APIError, type(error)
        assert (error.message, error.code, error.type) == (message, "limit_exceeded", "insufficient_quota"), error
    else:
        # Of the status that the stream began with, 200.
        assert type(error) is anthropic.APIStatusError, type(error)
        assert error.body == {"type": "error", "error": {"type": "rate_limit_error", "message": message}}, error.body
        assert message in error.message, error.message


def check_refusal(error, name):
    """The error of a call beyond a limit."""
    assert type(error) in (openai.RateLimitError, anthropic.RateLimitError), type(error)
    assert error.status_code == 429
    assert f"limit clients/{name} of" in error.message and "is used up" in error.message, error.message
    wait = int(error.response.headers["retry-after"])
    assert 3500 < wait <= 3660, wait
    assert error.response.headers["x-should-retry"] == "false"


def raised(read, client, texts):
    try:
        read(client, texts)
    except (openai.OpenAIError, anthropic.AnthropicError) as error:
        return error
    raise AssertionError("nothing was raised")


def seen(admin):
    """The calls that the sidecar saw: how often each route and decision."""
    with urllib.request.urlopen(admin + "/metrics") as answer:
        text = answer.read().decode()
    counted = re.findall(r'^postern_requests_total\{route="([^"]+)",decision="([^"]+)".*\} (\d+)$', text, re.MULTILINE)
    return sorted((route, decision, int(count)) for route, decision, count in counted)


def main():
    path, through, admin = sys.argv[1:]
    # A library that waited as long as it is told would wait an hour.
    signal.alarm(60)
    with open(path) as file:
        whole = json.load(file)["says"]["text"]
    expected = []
    for reader, (read, reasons) in READERS.items():
        for kind in ("end", "finish", "once"):
            name = f"{kind}-{reader}"
            if reader.startswith("messages"):
                client = anthropic.Anthropic(base_url=f"{through}/{name}", api_key="none")
            else:
                client = openai.OpenAI(base_url=f"{through}/{name}/v1", api_key="none")
            texts = []
            if kind == "end":
                check_end(raised(read, client, texts), name)
                text = "".join(texts)
                assert text and text != whole and whole.startswith(text), (name, text)
            else:
                assert read(client, texts) == reasons, name
                assert "".join(texts) == whole, (name, texts)
            check_refusal(raised(read, client, []), name)
            expected += [(name, "allow", 1), (name, "deny", 1)]
    # A call is counted when its answer is over, which its caller may know first.
    for _ in range(100):
        if (found := seen(admin)) == sorted(expected):
            break
        time.sleep(0.05)
    assert found == sorted(expected), found
    print(len(expected), "answers read")


main()
