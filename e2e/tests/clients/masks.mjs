// What the official SDKs of OpenAI and Anthropic read of masked answers: node masks.mjs MODULES ANSWERS STRAIGHT THROUGH.
//
// Every reader asks in every writing, straight and through the sidecar. It returns what a person sees of the answer, by its part, and the events as the
// SDK has them, of which all but the texts must be the same.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, path, straightUrl, throughUrl] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const OpenAI = require("openai");
const Anthropic = require("@anthropic-ai/sdk");

// The members that hold texts; all others must be the same through the sidecar.
const TEXTS = new Set(["arguments", "content", "delta", "input", "message", "output_text", "partial_json", "reasoning_content", "refusal", "text", "thinking"]);

const clients = (openaiUrl, anthropicUrl) => ({
  openai: new OpenAI.OpenAI({ baseURL: openaiUrl, apiKey: "none", maxRetries: 0, timeout: 30_000 }),
  anthropic: new Anthropic.Anthropic({ baseURL: anthropicUrl, apiKey: "none", maxRetries: 0, timeout: 30_000 }),
});

const chat = (asked) => ({ model: "gpt-4o-mini", messages: [{ role: "user", content: asked }], n: 2 });
const responses = (asked) => ({ model: "gpt-4o-mini", input: asked });
const messages = (asked) => ({ model: "claude-sonnet-4-5", max_tokens: 999, messages: [{ role: "user", content: asked }] });

function partsOfCompletion(answer) {
  const [first, second] = answer.choices.map((choice) => choice.message);
  const calls = first.tool_calls.map((call) => ({ name: call.function.name, arguments: JSON.parse(call.function.arguments) }));
  return { text: first.content, second: second.content, reasoning: first.reasoning_content, refusal: first.refusal, calls };
}

function partsOfResponse(answer) {
  const [reasoning, message, ...calls] = answer.output;
  const [text, refusal] = message.content;
  return {
    text: text.text,
    reasoning: reasoning.summary[0].text,
    refusal: refusal.refusal,
    calls: calls.map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) })),
  };
}

function partsOfMessage(answer) {
  const [thinking, text, ...calls] = answer.content;
  return { text: text.text, reasoning: thinking.thinking, calls: calls.map((call) => ({ name: call.name, arguments: call.input })) };
}

async function chatWhole({ openai }, asked) {
  const answer = await openai.chat.completions.create(chat(asked));
  return [partsOfCompletion(answer), [answer]];
}

async function chatEvents({ openai }, asked) {
  const parts = { text: "", second: "", reasoning: "", refusal: "" };
  const calls = [];
  const events = [];
  for await (const event of await openai.chat.completions.create({ ...chat(asked), stream: true })) {
    events.push(event);
    for (const { index, delta } of event.choices) {
      parts[index ? "second" : "text"] += delta.content ?? "";
      parts.reasoning += delta.reasoning_content ?? "";
      parts.refusal += delta.refusal ?? "";
      for (const call of delta.tool_calls ?? []) {
        calls[call.index] ??= { name: call.function.name, arguments: "" };
        calls[call.index].arguments += call.function.arguments;
      }
    }
  }
  assert.equal(events.at(-1).usage.total_tokens, 233);
  return [{ ...parts, calls: calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) })) }, events];
}

async function chatPutTogether({ openai }, asked) {
  const parts = partsOfCompletion(await openai.chat.completions.stream(chat(asked)).finalChatCompletion());
  // Of a member that it does not know, this SDK keeps the last piece alone.
  delete parts.reasoning;
  return [parts, []];
}

async function responsesWhole({ openai }, asked) {
  const answer = await openai.responses.create(responses(asked));
  return [partsOfResponse(answer), [answer]];
}

// The texts by their pieces; that they are the same as those said whole.
async function responsesEvents({ openai }, asked) {
  const texts = new Map();
  const events = [];
  for await (const event of await openai.responses.create({ ...responses(asked), stream: true })) {
    events.push(event);
    const place = `${event.type.replace(/\.(delta|done)$/, "")} ${event.output_index}`;
    if (event.type.endsWith(".delta")) {
      texts.set(place, (texts.get(place) ?? "") + event.delta);
    } else if (texts.has(place)) {
      assert.equal(texts.get(place), event.text ?? event.refusal ?? event.arguments);
    }
  }
  const { response } = events.at(-1);
  assert.equal(response.usage.total_tokens, 233);
  const parts = partsOfResponse(response);
  const calls = parts.calls.map(({ name }, index) => ({ name, arguments: JSON.parse(texts.get(`response.function_call_arguments ${2 + index}`)) }));
  const text = texts.get("response.output_text 1");
  const reasoning = texts.get("response.reasoning_summary_text 0");
  assert.deepEqual({ text, reasoning, refusal: texts.get("response.refusal 1"), calls }, parts);
  return [parts, events];
}

async function responsesPutTogether({ openai }, asked) {
  return [partsOfResponse(await openai.responses.stream(responses(asked)).finalResponse()), []];
}

async function messagesWhole({ anthropic }, asked) {
  const answer = await anthropic.messages.create(messages(asked));
  return [partsOfMessage(answer), [answer]];
}

async function messagesEvents({ anthropic }, asked) {
  const blocks = [];
  const events = [];
  for await (const event of await anthropic.messages.create({ ...messages(asked), stream: true })) {
    events.push(event);
    if (event.type === "content_block_start") {
      blocks[event.index] = { name: event.content_block.name, text: "" };
    } else if (event.type === "content_block_delta") {
      const { text, thinking, partial_json } = event.delta;
      blocks[event.index].text += text ?? thinking ?? partial_json ?? "";
    }
  }
  const [reasoning, text, ...calls] = blocks;
  assert.equal(events.find((event) => event.type === "message_delta").usage.output_tokens, 222);
  const read = calls.map((call) => ({ name: call.name, arguments: JSON.parse(call.text) }));
  return [{ text: text.text, reasoning: reasoning.text, calls: read }, events];
}

async function messagesPutTogether({ anthropic }, asked) {
  return [partsOfMessage(await anthropic.messages.stream(messages(asked)).finalMessage()), []];
}

// A reader of the error that `ask` ends with, whole or in a stream.
function failing(ask) {
  return async (clients, asked) => {
    const events = [];
    try {
      for await (const event of await ask(clients, `${asked} fails`)) {
        events.push(event);
      }
    } catch (error) {
      if (!(error instanceof OpenAI.APIError || error instanceof Anthropic.APIError)) {
        throw error;
      }
      const body = error.error.error ?? error.error;
      return [{ error: body.message }, [...events, error.constructor.name, error.status, body]];
    }
    return [{ error: events.at(-1).response.error.message }, events];
  };
}

const READERS = {
  "chat, whole": chatWhole,
  "chat, events": chatEvents,
  "chat, put together": chatPutTogether,
  "chat, refused": failing(({ openai }, asked) => openai.chat.completions.create(chat(asked))),
  "chat, broken off": failing(({ openai }, asked) => openai.chat.completions.create({ ...chat(asked), stream: true })),
  "responses, whole": responsesWhole,
  "responses, events": responsesEvents,
  "responses, put together": responsesPutTogether,
  "responses, refused": failing(({ openai }, asked) => openai.responses.create(responses(asked))),
  "responses, broken off": failing(({ openai }, asked) => openai.responses.create({ ...responses(asked), stream: true })),
  "messages, whole": messagesWhole,
  "messages, events": messagesEvents,
  "messages, put together": messagesPutTogether,
  "messages, refused": failing(({ anthropic }, asked) => anthropic.messages.create(messages(asked))),
  "messages, broken off": failing(({ anthropic }, asked) => anthropic.messages.create({ ...messages(asked), stream: true })),
};

// Everything of an event but its texts.
const shape = (value) =>
  JSON.parse(JSON.stringify(value ?? null, (key, item) => (key === "input" || (TEXTS.has(key) && typeof item === "string") ? "a text" : item)));

const answers = JSON.parse(readFileSync(path, "utf8"));
const straight = clients(`${straightUrl}/v1`, straightUrl);
const through = clients(`${throughUrl}/openai/v1`, `${throughUrl}/anthropic`);
for (const [name, read] of Object.entries(READERS)) {
  for (const [number, writing] of answers.writings.entries()) {
    const where = `${name}, ${writing.name}`;
    const [says, said] = await read(straight, String(number));
    const [reads, events] = await read(through, String(number));
    for (const part of Object.keys(says)) {
      assert.deepEqual(says[part], answers.says[part], `${where}: straight, ${part} is ${JSON.stringify(says[part])}`);
      assert.deepEqual(reads[part], answers.reads[part], `${where}: ${part} is ${JSON.stringify(reads[part])}`);
    }
    assert.equal(events.length, said.length, `${where}: ${said.length} events became ${events.length}`);
    assert.deepEqual(shape(events), shape(said), where);
  }
}
console.log(Object.keys(READERS).length * answers.writings.length, "answers read");
