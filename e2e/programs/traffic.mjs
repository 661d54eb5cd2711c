// The calls of traffic.py, as LangChain for JavaScript makes them; prints one JSON line a call.
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { ANSWER, STREAM, TOOL, joined, joke, report, shown, weather } from "./report.mjs";

const calls = [];
for (const [name, model] of [
  ["openai", new ChatOpenAI({ model: "gpt-4o-mini", maxRetries: 0 })],
  ["anthropic", new ChatAnthropic({ model: "claude-sonnet-4-5", maxTokens: 256, maxRetries: 0 })],
]) {
  const tools = model.bindTools([weather]);
  calls.push([`${name}.invoke`, async () => shown(await model.invoke(ANSWER))]);
  calls.push([`${name}.stream`, async () => joined(await model.stream(STREAM))]);
  calls.push([`${name}.tools`, async () => shown(await tools.invoke(TOOL))]);
  calls.push([`${name}.tools.stream`, async () => joined(await tools.stream(TOOL))]);
  const structured = model.withStructuredOutput(joke, { name: "Joke" });
  calls.push([`${name}.structured`, () => structured.invoke("Tell me a joke.")]);
  calls.push([`${name}.busy`, async () => shown(await model.invoke("Be busy."))]);
  calls.push([`${name}.broken`, async () => shown(await model.invoke("Be broken."))]);
  calls.push([`${name}.break_off`, async () => joined(await model.stream("Break off."))]);
}
const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small" });
calls.push(["openai.embedQuery", () => embeddings.embedQuery("postern")]);
calls.push(["openai.embedDocuments", () => embeddings.embedDocuments(["a", "b"])]);

await report(calls);
