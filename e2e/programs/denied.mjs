// The calls of denied.py, as LangChain for JavaScript makes them.
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatOpenAI } from "@langchain/openai";

const kindsOf = (error) => {
  const kinds = [];
  for (let type = error.constructor; type?.name; type = Object.getPrototypeOf(type)) kinds.push(type.name);
  return kinds;
};

for (const [call, model] of [
  ["openai", new ChatOpenAI({ model: "gpt-5-pro", useResponsesApi: true })],
  ["anthropic", new ChatAnthropic({ model: "claude-opus-4-5", maxTokens: 256 })],
]) {
  let line;
  try {
    line = { call, result: (await model.invoke("Plan my year.")).content };
  } catch (error) {
    line = { call, kinds: kindsOf(error), status: error.status ?? null, message: error.message };
  }
  console.log(JSON.stringify(line));
}
