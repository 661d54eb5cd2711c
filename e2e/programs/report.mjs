// What the programs of the cluster tests share, as report.py does: what they ask, what a program reads of an answer, and one JSON line a call.
import { tool } from "@langchain/core/tools";

// What the mock provider has an answer for: e2e/images/provider/fixtures.json.
export const ANSWER = "What is the capital of France?";
export const STREAM = "Count to five.";
export const TOOL = "What is the weather in Paris?";

export const weather = tool(({ city }) => `sunny in ${city}`, {
  name: "weather",
  description: "The weather in a city.",
  schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
});

export const joke = {
  title: "Joke",
  description: "A joke.",
  type: "object",
  properties: { setup: { type: "string" }, punchline: { type: "string" } },
  required: ["setup", "punchline"],
};

// What a message says, without the provider's random ids.
const contentOf = ({ content }) =>
  typeof content === "string" ? content : content.map(({ id: _, ...part }) => part);

// What a program reads of a message.
export const shown = (message) => ({
  content: contentOf(message),
  toolCalls: (message.tool_calls ?? []).map(({ name, args }) => ({ name, args })),
  usage: message.usage_metadata ?? null,
  finish: message.response_metadata?.finish_reason ?? message.response_metadata?.stop_reason ?? null,
});

// A stream's chunks, one by one and added up.
export async function joined(stream) {
  const chunks = [];
  let whole;
  for await (const chunk of stream) {
    chunks.push(contentOf(chunk));
    whole = whole === undefined ? chunk : whole.concat(chunk);
  }
  return { chunks, whole: shown(whole) };
}

// Makes the calls, [name, what to do] each, and prints what came of them.
export async function report(calls) {
  for (const [name, call] of calls) {
    let line;
    try {
      line = { call: name, result: await call() };
    } catch (error) {
      line = { call: name, error: `${error.constructor.name}: ${error.message}` };
    }
    console.log(JSON.stringify(line));
  }
}
