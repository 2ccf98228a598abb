// A name server for SRV records alone, over UDP: what it does not know does not exist.

export interface SrvRecord {
  readonly priority: number;
  readonly port: number;
  readonly name: string;
}

const HEADER_BYTES = 12;
const TYPE_SRV = 33;
const CLASS_IN = 1;
const NO_SUCH_NAME = 3;
/** A pointer to the name in the question. */
const SAME_NAME = 0xc000 | HEADER_BYTES;

export async function startFakeNames(
  records: Readonly<Record<string, readonly SrvRecord[]>>,
): Promise<{ port: number; stop(): void }> {
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data(self, query, port, address) {
        const { name, end } = question(query);
        const found = records[name.toLowerCase()] ?? [];
        const header = Buffer.from(query.subarray(0, HEADER_BYTES));
        header[2] = 0x81;
        header[3] = 0x80 | (found.length === 0 ? NO_SUCH_NAME : 0);
        header.writeUInt16BE(found.length, 6);
        header.writeUInt32BE(0, 8);
        const parts = [header, query.subarray(HEADER_BYTES, end), ...found.map(answer)];
        self.send(Buffer.concat(parts), port, address);
      },
    },
  });
  return { port: socket.port, stop: () => socket.close() };
}

/** The name that is asked for, and where its question ends. */
function question(query: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join("."), end: at + 5 };
}

function answer({ priority, port, name }: SrvRecord): Buffer {
  const target = name.split(".").map((label) => `${String.fromCharCode(label.length)}${label}`);
  const encoded = Buffer.from(`${target.join("")}\0`, "latin1");
  const head = Buffer.alloc(18);
  for (const [at, value] of [
    SAME_NAME,
    TYPE_SRV,
    CLASS_IN,
    0,
    0,
    6 + encoded.length,
    priority,
    0,
    port,
  ].entries())
    head.writeUInt16BE(value, 2 * at);
  return Buffer.concat([head, encoded]);
}
