// The calls of vendors.py, as LangChain for JavaScript makes them; prints one JSON line a call.
import { ChatBedrockConverse } from "@langchain/aws";
import { Chroma } from "@langchain/community/vectorstores/chroma";
import { ChatGoogleGenerativeAI } from "@langchain/google-genai";
import { ChatMistralAI } from "@langchain/mistralai";
import { ChatOllama } from "@langchain/ollama";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { ChromaClient } from "chromadb";
import { hostname } from "node:os";
import { ANSWER, STREAM, TOOL, joined, joke, report, shown, weather } from "./report.mjs";

const chat = {
  responses: new ChatOpenAI({ model: "gpt-4o-mini", useResponsesApi: true, maxRetries: 0 }),
  gemini: new ChatGoogleGenerativeAI({ model: "gemini-2.5-flash", maxRetries: 0 }),
  // Its class reads no address from the environment, so the program does.
  mistral: new ChatMistralAI({ model: "mistral-small-latest", maxRetries: 0, serverURL: process.env.MISTRAL_SERVER_URL }),
  // Nor does this one a key.
  ollama: new ChatOllama({ model: "llama3.2", maxRetries: 0, headers: { Authorization: `Bearer ${process.env.OLLAMA_API_KEY}` } }),
  bedrock: new ChatBedrockConverse({ model: "anthropic.claude-3-haiku-20240307-v1:0", maxRetries: 0 }),
};

const calls = [];
for (const [name, model] of Object.entries(chat)) {
  calls.push([`${name}.invoke`, async () => shown(await model.invoke(ANSWER))]);
  calls.push([`${name}.stream`, async () => joined(await model.stream(STREAM))]);
  const tools = model.bindTools([weather]);
  calls.push([`${name}.tools`, async () => shown(await tools.invoke(TOOL))]);
  calls.push([`${name}.tools.stream`, async () => joined(await tools.stream(TOOL))]);
  const structured = model.withStructuredOutput(joke, { name: "Joke" });
  calls.push([`${name}.structured`, () => structured.invoke("Tell me a joke.")]);
}

// Three texts go into a collection of this pod's own, and the nearest come out of it.
async function vectors() {
  // What plays OpenAI knows no other encoding, whatever it is asked for.
  const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", encodingFormat: "float" });
  // Its client forgets the path of an address, but takes one behind the port.
  const { protocol, hostname: host, port, pathname } = new URL(process.env.CHROMA_URL);
  const ssl = protocol === "https:";
  const headers = { "X-Chroma-Token": process.env.CHROMA_TOKEN };
  const index = new ChromaClient({ ssl, host, port: `${port || (ssl ? 443 : 80)}${pathname}`, headers });
  const collectionName = `javascript-${hostname()}`;
  const store = new Chroma(embeddings, { index, collectionName });
  const texts = ["a small gate", "a tall tower", "a deep moat"].map((pageContent) => ({ pageContent, metadata: { of: "castle" } }));
  await store.addDocuments(texts, { ids: ["gate", "tower", "moat"] });
  const found = await store.similaritySearchWithScore("a small gate", 2);
  const collection = await store.ensureCollection();
  const kept = (await collection.get()).documents.sort();
  await store.delete({ ids: ["moat"] });
  const left = (await collection.get()).ids.sort();
  await index.deleteCollection({ name: collectionName });
  return { found: found.map(([document, score]) => [document.pageContent, score.toFixed(4)]), kept, left };
}
calls.push(["chroma", vectors]);

await report(calls);
