// The calls of vendors.py, as LangChain for JavaScript makes them; prints one JSON line a call.
import { ChatBedrockConverse } from "@langchain/aws";
import { tool } from "@langchain/core/tools";
import { ChatGoogleGenerativeAI } from "@langchain/google-genai";
import { ChatMistralAI } from "@langchain/mistralai";
import { ChatOllama } from "@langchain/ollama";
import { ChatOpenAI } from "@langchain/openai";
import { joined, report, shown } from "./report.mjs";

const ANSWER = "What is the capital of France?";
const STREAM = "Count to five.";
const TOOL = "What is the weather in Paris?";

const weather = tool(({ city }) => `sunny in ${city}`, {
  name: "weather",
  description: "The weather in a city.",
  schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
});

const joke = {
  title: "Joke",
  description: "A joke.",
  type: "object",
  properties: { setup: { type: "string" }, punchline: { type: "string" } },
  required: ["setup", "punchline"],
};

const chat = {
  responses: new ChatOpenAI({ model: "gpt-4o-mini", useResponsesApi: true, maxRetries: 0 }),
  gemini: new ChatGoogleGenerativeAI({ model: "gemini-2.5-flash", maxRetries: 0 }),
  // Its class reads no address from the environment, so the program does.
  mistral: new ChatMistralAI({ model: "mistral-small-latest", maxRetries: 0, serverURL: process.env.MISTRAL_SERVER_URL }),
  // Nor does this one a key.
  ollama: new ChatOllama({ model: "llama3.2", maxRetries: 0, headers: { Authorization: `Bearer ${process.env.OLLAMA_API_KEY}` } }),
};
const bedrock = new ChatBedrockConverse({ model: "anthropic.claude-3-haiku-20240307-v1:0", maxRetries: 0 });

const calls = [];
for (const [name, model] of Object.entries({ ...chat, bedrock })) {
  calls.push([`${name}.invoke`, async () => shown(await model.invoke(ANSWER))]);
  calls.push([`${name}.stream`, async () => joined(await model.stream(STREAM))]);
}
for (const [name, model] of Object.entries(chat)) {
  const tools = model.bindTools([weather]);
  calls.push([`${name}.tools`, async () => shown(await tools.invoke(TOOL))]);
  calls.push([`${name}.tools.stream`, async () => joined(await tools.stream(TOOL))]);
  const structured = model.withStructuredOutput(joke);
  calls.push([`${name}.structured`, () => structured.invoke("Tell me a joke.")]);
}
await report(calls);
