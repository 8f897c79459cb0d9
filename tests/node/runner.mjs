// The child's side of an oracle in JavaScript: calls exported functions of one script in `sdk/` as standard input asks,
// one JSON line a call. tests/oracles/sdk_runner.py does the same for Python.
import { createInterface } from "node:readline";
import { writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

// What a client prints must not mix with our replies.
console.log = console.info = console.debug = console.dir = console.error;

const plain = (_, value) =>
  value instanceof Uint8Array ? { bytes: value.length, hex: Buffer.from(value.subarray(0, 64)).toString("hex") } : value;

const reply = (value) => {
  const bytes = Buffer.from(JSON.stringify(value, plain) + "\n");
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(1, bytes, sent);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
};

const kinds = (error) => {
  const names = [];
  for (let at = Object.getPrototypeOf(error); at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    names.push(at.constructor.name);
  }
  return names;
};

const script = await import(pathToFileURL(process.argv[2]));
reply({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    reply({ returned: (await script[asked.call](asked.arguments)) ?? null });
  } catch (error) {
    const status = error?.statusCode ?? error?.status;
    reply({
      raised: error?.constructor?.name ?? typeof error,
      kinds: error instanceof Error ? kinds(error) : [],
      message: String(error?.message ?? error),
      status: Number.isInteger(status) ? status : null,
    });
  }
}
