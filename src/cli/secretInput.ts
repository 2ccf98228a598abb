// A secret from whoever runs the program: typed twice on a terminal that does not show it, or a line of standard input.

import { CommandError, EXIT_INTERRUPTED } from "./end.ts";

/** As long as a password can be in MQTT. */
const BYTES_MAX = 65_535;

/** Throws CommandError. */
export async function readSecret(what: string): Promise<string> {
  if (!process.stdin.isTTY) return await firstLine();
  const terminal = new SilentTerminal();
  try {
    const first = await terminal.ask(`${what}: `);
    const again = await terminal.ask(`${what}, again: `);
    if (first !== again) throw new CommandError("the two are not the same; nothing was changed");
    return first;
  } finally {
    terminal.close();
  }
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

/**
 * The terminal, which shows nothing of what is typed from here to close(), nor of what is typed before it is asked
 * for.
 */
class SilentTerminal {
  /** Typed, and not asked for yet. */
  private typed: string[] = [];
  private wake: () => void = () => {};
  private readonly decoder = new TextDecoder();
  private readonly take = (chunk: Buffer): void => {
    this.typed.push(...this.decoder.decode(chunk, { stream: true }));
    this.wake();
  };

  constructor() {
    process.stdin.setRawMode(true);
    process.stdin.on("data", this.take);
    process.stdin.resume();
  }

  /** Resolves with a line. Rejects with CommandError on Ctrl-C. */
  async ask(prompt: string): Promise<string> {
    process.stderr.write(prompt);
    const line: string[] = [];
    for (;;) {
      const character = this.typed.shift();
      if (character === undefined) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      } else if (character === "\r" || character === "\n" || character === "\u0004") {
        process.stderr.write("\n");
        return line.join("");
      } else if (character === "\u0003") {
        process.stderr.write("\n");
        throw new CommandError("interrupted; nothing was changed", EXIT_INTERRUPTED);
      } else if (character === "\u007f" || character === "\b") line.pop();
      else if (character === "\u0015") line.length = 0;
      else line.push(character);
    }
  }

  close(): void {
    process.stdin.off("data", this.take);
    process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}
