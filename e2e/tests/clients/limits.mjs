// What the official SDKs of OpenAI and Anthropic make of limits: node limits.mjs MODULES ANSWERS THROUGH ADMIN.
//
// Each way to read a stream has a credential for each way to limit it, and makes two calls with it. The first is ended (`end`), outlasts its budget
// (`finish`), or is all that is allowed (`once`). The second is refused, and no SDK is told how often to try again.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

const [modules, path, through, admin] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const OpenAI = require("openai");
const Anthropic = require("@anthropic-ai/sdk");

// How the upstream writes what it says: as a provider does.
const WRITING = "1";
const CHAT = { model: "gpt-4o-mini", messages: [{ role: "user", content: WRITING }], n: 2 };
const RESPONSES = { model: "gpt-4o-mini", input: WRITING };
// The upstream says more than it is asked for.
const MESSAGES = { model: "claude-sonnet-4-5", max_tokens: 50, messages: [{ role: "user", content: WRITING }] };

async function chat(client, texts) {
  const reasons = [];
  for await (const { choices } of await client.chat.completions.create({ ...CHAT, stream: true })) {
    for (const { index, delta, finish_reason } of choices) {
      if (index === 0) {
        texts.push(delta.content ?? "");
      }
      if (finish_reason) {
        reasons.push(finish_reason);
      }
    }
  }
  return reasons;
}

async function chatHelper(client, texts) {
  const stream = client.chat.completions.stream(CHAT).on("chunk", ({ choices }) => {
    texts.push(...choices.filter(({ index }) => index === 0).map(({ delta }) => delta.content ?? ""));
  });
  return (await stream.finalChatCompletion()).choices.map((choice) => choice.finish_reason);
}

async function responses(client, texts) {
  let last;
  for await (const event of await client.responses.create({ ...RESPONSES, stream: true })) {
    last = event;
    if (event.type === "response.output_text.delta") {
      texts.push(event.delta);
    }
  }
  return [last.response.status];
}

async function responsesHelper(client, texts) {
  const stream = client.responses.stream(RESPONSES).on("response.output_text.delta", ({ delta }) => texts.push(delta));
  return [(await stream.finalResponse()).status];
}

async function messages(client, texts) {
  const reasons = [];
  for await (const event of await client.messages.create({ ...MESSAGES, stream: true })) {
    if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
      texts.push(event.delta.text);
    } else if (event.type === "message_delta") {
      reasons.push(event.delta.stop_reason);
    }
  }
  return reasons;
}

async function messagesHelper(client, texts) {
  const stream = client.messages.stream(MESSAGES).on("text", (delta) => texts.push(delta));
  return [(await stream.finalMessage()).stop_reason];
}

// The readers, and why a stream ends that nobody ends.
const READERS = {
  chat: [chat, ["tool_calls", "stop"]],
  "chat-helper": [chatHelper, ["tool_calls", "stop"]],
  responses: [responses, ["completed"]],
  "responses-helper": [responsesHelper, ["completed"]],
  messages: [messages, ["tool_use"]],
  "messages-helper": [messagesHelper, ["tool_use"]],
};

// The error at the end of a budget.
function checkEnd(error, name) {
  const message = `postern: limit clients/${name} is used up, so the answer ends here`;
  if (error instanceof OpenAI.OpenAIError) {
    assert.equal(error.constructor, OpenAI.APIError, error);
    assert.deepEqual([error.message, error.code, error.type], [message, "limit_exceeded", "insufficient_quota"]);
  } else {
    assert.equal(error.constructor, Anthropic.APIError, error);
    assert.equal(error.type, "rate_limit_error");
    assert.deepEqual(error.error, { type: "error", error: { type: "rate_limit_error", message } });
    assert.ok(error.message.includes(message), error.message);
  }
}

// The error of a call beyond a limit.
function checkRefusal(error, name) {
  assert.ok([OpenAI.RateLimitError, Anthropic.RateLimitError].includes(error.constructor), error);
  assert.equal(error.status, 429);
  assert.match(error.message, new RegExp(`limit clients/${name} of .* is used up`));
  const wait = Number(error.headers.get("retry-after"));
  assert.ok(3500 < wait && wait <= 3660, `${wait}`);
  assert.equal(error.headers.get("x-should-retry"), "false");
}

async function raised(read, client, texts) {
  try {
    await read(client, texts);
  } catch (error) {
    return error;
  }
  assert.fail("nothing was raised");
}

// The calls that the sidecar saw: how often each route and decision.
async function seen() {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const counted = text.matchAll(/^postern_requests_total\{route="([^"]+)",decision="([^"]+)".*\} (\d+)$/gm);
  return [...counted].map(([, route, decision, count]) => `${route} ${decision} ${count}`).sort();
}

// A library that waited as long as it is told would wait an hour.
setTimeout(() => assert.fail("a library waits"), 60_000).unref();
const whole = JSON.parse(readFileSync(path, "utf8")).says.text;
const expected = [];
for (const [reader, [read, reasons]] of Object.entries(READERS)) {
  for (const kind of ["end", "finish", "once"]) {
    const name = `${kind}-${reader}`;
    const client = reader.startsWith("messages")
      ? new Anthropic.Anthropic({ baseURL: `${through}/${name}`, apiKey: "none" })
      : new OpenAI.OpenAI({ baseURL: `${through}/${name}/v1`, apiKey: "none" });
    const texts = [];
    if (kind === "end") {
      checkEnd(await raised(read, client, texts), name);
      const text = texts.join("");
      assert.ok(text && text !== whole && whole.startsWith(text), `${name}: ${text}`);
    } else {
      assert.deepEqual(await read(client, texts), reasons, name);
      assert.equal(texts.join(""), whole, name);
    }
    checkRefusal(await raised(read, client, []), name);
    expected.push(`${name} allow 1`, `${name} deny 1`);
  }
}
// A call is counted when its answer is over, which its caller may know first.
let found = await seen();
for (let left = 100; left && `${found}` !== `${expected.sort()}`; left--) {
  await pause(50);
  found = await seen();
}
assert.deepEqual(found, expected);
console.log(expected.length, "answers read");
