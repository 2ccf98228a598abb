// A secret from whoever runs the program: typed twice on a terminal that does not show it, or a line of standard input.

import { CommandError } from "./end.ts";

/** As long as a password can be in MQTT. */
const BYTES_MAX = 65_535;
const INTERRUPTED = 130;

/** Throws CommandError. */
export async function readSecret(what: string): Promise<string> {
  if (!process.stdin.isTTY) return await firstLine();
  const first = await typed(`${what}: `);
  const again = await typed(`${what}, again: `);
  if (first !== again) throw new CommandError("the two are not the same; nothing was changed");
  return first;
}

async function firstLine(): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array);
    length += bytes.length;
    chunks.push(bytes);
    if (bytes.includes(0x0a)) break;
    if (length > BYTES_MAX + 2) throw new CommandError(`standard input: no line within ${BYTES_MAX} bytes`);
  }
  const [line = ""] = Buffer.concat(chunks).toString("utf8").split("\n");
  return line.replace(/\r$/, "");
}

/** One line from the terminal, which shows nothing of it. */
function typed(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let text = "";
  const end = (): void => {
    stdin.off("data", take);
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  };
  const take = (chunk: Buffer): void => {
    for (const character of chunk.toString("utf8")) {
      if (character === "\r" || character === "\n" || character === "\u0004") {
        end();
        resolve(text);
        return;
      }
      if (character === "\u0003") {
        end();
        reject(new CommandError("interrupted; nothing was changed", INTERRUPTED));
        return;
      }
      if (character === "\u007f" || character === "\b") text = [...text].slice(0, -1).join("");
      else if (character === "\u0015") text = "";
      else text += character;
    }
  };
  stderr.write(prompt);
  stdin.setRawMode(true);
  stdin.on("data", take);
  stdin.resume();
  return promise;
}
