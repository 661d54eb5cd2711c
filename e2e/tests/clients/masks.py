"""What the official SDKs of OpenAI and Anthropic read of masked answers: python masks.py ANSWERS STRAIGHT THROUGH.

Every reader asks in every writing, straight and through the sidecar. It returns what a person sees of the answer, by its part, and the events as the
SDK has them, of which all but the texts must be the same.
"""

import json
import sys

import anthropic
import openai

# The members that hold texts; all others must be the same through the sidecar.
TEXTS = {"arguments", "content", "delta", "input", "message", "partial_json", "reasoning_content", "refusal", "text", "thinking"}


class Clients:
    def __init__(self, openai_url, anthropic_url):
        self.openai = openai.OpenAI(base_url=openai_url, api_key="none", max_retries=0, timeout=30)
        self.anthropic = anthropic.Anthropic(base_url=anthropic_url, api_key="none", max_retries=0, timeout=30)


def chat(asked):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": asked}], "n": 2}


def responses(asked):
    return {"model": "gpt-4o-mini", "input": asked}


def messages(asked):
    return {"model": "claude-sonnet-4-5", "max_tokens": 999, "messages": [{"role": "user", "content": asked}]}


def parts_of_completion(answer):
    first, second = (choice.message for choice in answer.choices)
    calls = [{"name": call.function.name, "arguments": json.loads(call.function.arguments)} for call in first.tool_calls]
    return {
        "text": first.content,
        "second": second.content,
        "reasoning": first.reasoning_content,
        "refusal": first.refusal,
        "calls": calls,
    }


def parts_of_response(answer):
    reasoning, message, *calls = answer.output
    text, refusal = message.content
    return {
        "text": text.text,
        "reasoning": reasoning.summary[0].text,
        "refusal": refusal.refusal,
        "calls": [{"name": call.name, "arguments": json.loads(call.arguments)} for call in calls],
    }


def parts_of_message(answer):
    thinking, text, *calls = answer.content
    return {
        "text": text.text,
        "reasoning": thinking.thinking,
        "calls": [{"name": call.name, "arguments": call.input} for call in calls],
    }


def chat_whole(clients, asked):
    answer = clients.openai.chat.completions.create(**chat(asked))
    return parts_of_completion(answer), [answer]


def chat_events(clients, asked):
    parts = {"text": "", "second": "", "reasoning": "", "refusal": ""}
    calls, events = {}, []
    for event in clients.openai.chat.completions.create(stream=True, **chat(asked)):
        events.append(event)
        for choice in event.choices:
            delta = choice.delta
            parts["second" if choice.index else "text"] += delta.content or ""
            parts["reasoning"] += getattr(delta, "reasoning_content", None) or ""
            parts["refusal"] += delta.refusal or ""
            for call in delta.tool_calls or []:
                known = calls.setdefault(call.index, {"name": call.function.name, "arguments": ""})
                known["arguments"] += call.function.arguments
    parts["calls"] = [{**call, "arguments": json.loads(call["arguments"])} for call in calls.values()]
    assert events[-1].usage.total_tokens == 233
    return parts, events


def chat_put_together(clients, asked):
    with clients.openai.chat.completions.stream(**chat(asked)) as stream:
        answer = stream.get_final_completion()
    return parts_of_completion(answer), []


def responses_whole(clients, asked):
    answer = clients.openai.responses.create(**responses(asked))
    return parts_of_response(answer), [answer]


def responses_events(clients, asked):
    """The texts by their pieces; that they are the same as those said whole."""
    texts, events = {}, []
    for event in clients.openai.responses.create(stream=True, **responses(asked)):
        events.append(event)
        if event.type.endswith(".delta"):
            place = (event.type.removesuffix(".delta"), event.output_index)
            texts[place] = texts.get(place, "") + event.delta
        elif event.type.removesuffix(".done") in {kind for kind, _ in texts}:
            whole = getattr(event, "text", None) or getattr(event, "refusal", None) or event.arguments
            assert texts[event.type.removesuffix(".done"), event.output_index] == whole, event
    *_, end = events
    assert end.response.usage.total_tokens == 233
    parts = parts_of_response(end.response)
    calls = [{"name": call["name"], "arguments": json.loads(texts["response.function_call_arguments", 2 + index])} for index, call in enumerate(parts["calls"])]
    pieces = {
        "text": texts["response.output_text", 1],
        "reasoning": texts["response.reasoning_summary_text", 0],
        "refusal": texts["response.refusal", 1],
        "calls": calls,
    }
    assert pieces == parts, (pieces, parts)
    return parts, events


def responses_put_together(clients, asked):
    with clients.openai.responses.stream(**responses(asked)) as stream:
        answer = stream.get_final_response()
    return parts_of_response(answer), []


def messages_whole(clients, asked):
    answer = clients.anthropic.messages.create(**messages(asked))
    return parts_of_message(answer), [answer]


def messages_events(clients, asked):
    blocks, events = {}, []
    for event in clients.anthropic.messages.create(stream=True, **messages(asked)):
        events.append(event)
        if event.type == "content_block_start":
            blocks[event.index] = [getattr(event.content_block, "name", None), ""]
        elif event.type == "content_block_delta":
            delta = event.delta
            member = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}.get(delta.type)
            blocks[event.index][1] += getattr(delta, member) if member else ""
    (_, reasoning), (_, text), *calls = blocks.values()
    calls = [{"name": name, "arguments": json.loads(text)} for name, text in calls]
    assert [event.usage.output_tokens for event in events if event.type == "message_delta"] == [222]
    return {"text": text, "reasoning": reasoning, "calls": calls}, events


def messages_put_together(clients, asked):
    with clients.anthropic.messages.stream(**messages(asked)) as stream:
        answer = stream.get_final_message()
    return parts_of_message(answer), []


def failing(ask):
    """A reader of the error that `ask` ends with, whole or in a stream."""

    def read(clients, asked):
        events = []
        try:
            answer = ask(clients, asked + " fails")
            for event in answer:
                events.append(event)
        except (openai.APIError, anthropic.APIError) as error:
            body = error.body.get("error", error.body)
            assert body["message"] in error.message or error.message in body["message"], error
            return {"error": body["message"]}, events + [type(error).__name__, getattr(error, "status_code", None), body]
        return {"error": events[-1].response.error.message}, events

    return read


READERS = {
    "chat, whole": chat_whole,
    "chat, events": chat_events,
    "chat, put together": chat_put_together,
    "chat, refused": failing(lambda clients, asked: clients.openai.chat.completions.create(**chat(asked))),
    "chat, broken off": failing(lambda clients, asked: clients.openai.chat.completions.create(stream=True, **chat(asked))),
    "responses, whole": responses_whole,
    "responses, events": responses_events,
    "responses, put together": responses_put_together,
    "responses, refused": failing(lambda clients, asked: clients.openai.responses.create(**responses(asked))),
    "responses, broken off": failing(lambda clients, asked: clients.openai.responses.create(stream=True, **responses(asked))),
    "messages, whole": messages_whole,
    "messages, events": messages_events,
    "messages, put together": messages_put_together,
    "messages, refused": failing(lambda clients, asked: clients.anthropic.messages.create(**messages(asked))),
    "messages, broken off": failing(lambda clients, asked: clients.anthropic.messages.create(stream=True, **messages(asked))),
}


def shape(value):
    """Everything of an event but its texts."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, list):
        return [shape(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_text = lambda key, item: key == "input" or (key in TEXTS and isinstance(item, str))
    return {key: "a text" if is_text(key, item) else shape(item) for key, item in value.items()}


def main():
    path, straight, through = sys.argv[1:]
    with open(path) as file:
        answers = json.load(file)
    straight = Clients(straight + "/v1", straight)
    through = Clients(through + "/openai/v1", through + "/anthropic")
    for name, read in READERS.items():
        for number, writing in enumerate(answers["writings"]):
            says, said = read(straight, str(number))
            reads, events = read(through, str(number))
            where = f"{name}, {writing['name']}"
            for part in says:
                assert says[part] == answers["says"][part], f"{where}: straight, {part} is {says[part]!r}"
                assert reads[part] == answers["reads"][part], f"{where}: {part} is {reads[part]!r}"
            assert len(said) == len(events), f"{where}: {len(said)} events became {len(events)}"
            for one, other in zip(said, events):
                assert shape(one) == shape(other), f"{where}: {one} became {other}"
    print(len(READERS) * len(answers["writings"]), "answers read")


main()
