// A page of examples: each says its name, then what it saw, a value a line.
//
// An example that throws is told with a line that begins with `!!`, and so is one that does not end in time.
// `run` empties a Redis server before each, if its address is given.

import net from "node:net";
import { inspect } from "node:util";

export function page() {
  const examples = [];
  return {
    add: (name, run) => examples.push([name, run]),
    async run(host, port) {
      for (const [name, run] of examples) {
        console.log(`## ${name}`);
        if (host) await flush(host, port);
        const use = [];
        try {
          for (const line of await within(host ? 10_000 : 60_000, run(use))) console.log(shown(line));
        } catch (error) {
          console.error(name, error);
          console.log(`!! ${error?.message ?? error}`);
        }
        for (const close of use.reverse()) close();
      }
      process.exit(0);
    },
  };
}

function within(milliseconds, promise) {
  return Promise.race([promise, new Promise((_, reject) => setTimeout(reject, milliseconds, new Error("no end")).unref())]);
}

function flush(host, port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), host, () => socket.write("FLUSHALL\r\n"));
    socket.on("error", reject);
    socket.on("data", () => {
      socket.end();
      resolve();
    });
  });
}

function shown(value) {
  return inspect(value, { depth: 9, breakLength: Infinity, maxArrayLength: 1000, sorted: true });
}

/** The arguments of an emitter's next event. */
export function once(emitter, event) {
  return new Promise((resolve) => emitter.once(event, (...values) => resolve(values)));
}

/** What a promise is rejected with, as text. */
export async function failure(promise) {
  try {
    return ["no error", await promise];
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

export function sorted(values) {
  return [...values].sort();
}
