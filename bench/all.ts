// All benches, one after another: `bun run bench`. With --quick each case is called a few times, unmeasured; with
// names (`bun run bench lanes`) only those.

import { run as acknowledge } from "./acknowledge.bench.ts";
import { run as append } from "./append.bench.ts";
import { run as connect } from "./connect.bench.ts";
import { run as ingest } from "./ingest.bench.ts";
import { run as lanes } from "./lanes.bench.ts";
import { run as packetLog } from "./packetLog.bench.ts";
import { run as retained } from "./retained.bench.ts";
import { run as topic } from "./topic.bench.ts";
import { run as webSocket } from "./webSocket.bench.ts";

/** Name → bench; each file `<name>.bench.ts` of this folder stands here. */
export const benches: Readonly<Record<string, (quick: boolean) => Promise<void>>> = {
  ingest,
  append,
  lanes,
  acknowledge,
  connect,
  packetLog,
  retained,
  topic,
  webSocket,
};

async function main(args: readonly string[]): Promise<number> {
  const quick = args.includes("--quick");
  const asked = args.filter((arg) => arg !== "--quick");
  const names = asked.length > 0 ? asked : Object.keys(benches);
  for (const name of names) {
    const bench = benches[name];
    if (bench === undefined) {
      console.error(`no bench ${name}; there are ${Object.keys(benches).join(", ")}, and --quick`);
      return 1;
    }
    await bench(quick);
  }
  return 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
