// Follows a job by its events, through lost connections. RUSHES_API_KEY=... node examples/events.mjs (18 or newer)
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

const api = `${process.env.RUSHES_BASE_URL ?? "http://127.0.0.1:8080"}/api/v1/videos`;
const authorization = { Authorization: `Bearer ${process.env.RUSHES_API_KEY}` };
const hasEnded = (job) => job.status === "completed" || job.status === "failed";

async function call(path, options = {}) {
  const answer = await fetch(api + path, { ...options, headers: { ...authorization, ...options.headers } });
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer;
}

// The events of one connection: {id, event, data}. A browser's EventSource cannot send a key, and fetch can.
async function* listen(path, lastId) {
  const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
  const answer = await call(path, { headers });
  let rest = "";
  for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = {};
      for (const line of block.split("\n")) {
        const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? []; // a line that begins with a colon is a keep-alive
        if (name) fields[name] = name in fields ? `${fields[name]}\n${value}` : value;
      }
      if (fields.data) yield { ...fields, data: JSON.parse(fields.data) };
    }
  }
}

const started = await call("/generations", {
  method: "POST",
  headers: { "Content-Type": "application/json", "Idempotency-Key": randomUUID() },
  body: JSON.stringify({ prompt: "A lighthouse in a storm", model: "animatic/storyboard", duration: 1 }),
});
let job = await started.json();
const path = `/jobs/${job.job_id}`;

let lastId;
while (!hasEnded(job)) {
  try {
    for await (const { id, event, data } of listen(`${path}/events`, lastId)) {
      lastId = id ?? lastId;
      console.error(event, data.status ?? "", data.progress ?? "");
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch's way to say that the connection was cut
    await sleep(1000);
  }
  job = await (await call(path)).json();
}

if (job.status === "failed") throw new Error(`${job.error_code}: ${job.error}`);
const video = await fetch(job.result.url); // the link needs no key
await writeFile("lighthouse.mp4", video.body);
console.log("lighthouse.mp4");
