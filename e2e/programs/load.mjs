// Calls the provider so many times a second, every tenth time by a slow stream; prints one line a call: `ok`, or what went wrong.
//
// After SIGTERM it begins no more calls, and ends when those on their way have. Headers `x-began`: milliseconds since 1970; `x-slow`: whether by a stream.

const rate = Number(process.argv[2]);
const { OPENAI_BASE_URL, OPENAI_API_KEY } = process.env;

async function ask(words, stream) {
  const own = { "x-began": `${Date.now()}`, "x-slow": `${stream}` };
  const headers = { authorization: `Bearer ${OPENAI_API_KEY}`, "content-type": "application/json", ...own };
  const body = JSON.stringify({ model: "gpt-4o-mini", stream, messages: [{ role: "user", content: words }] });
  const answer = await fetch(`${OPENAI_BASE_URL}/chat/completions`, { method: "POST", headers, body });
  const text = await answer.text();
  return answer.ok ? text : `${answer.status} ${text}`;
}

async function call(number) {
  try {
    const slow = number % 10 === 0;
    const text = await ask(slow ? "Write slowly." : "What is the capital of France?", slow);
    const whole = slow ? text.split('"tick ').length === 51 && text.includes("data: [DONE]") : text.includes("Paris is the capital of France.");
    console.log(whole ? "ok" : `failed: ${text}`);
  } catch (error) {
    console.log(`failed: ${error} ${error.cause}`);
  }
}

let number = 0;
const start = performance.now();
// By the clock, so that a busy machine makes calls late, but not fewer.
const timer = setInterval(() => {
  while (number < ((performance.now() - start) * rate) / 1000) call(number++);
}, 10);
process.on("SIGTERM", () => clearInterval(timer));
