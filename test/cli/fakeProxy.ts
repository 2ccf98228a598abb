// A SOCKS5 proxy that does as it is told: connects on to a port of this machine whatever host it is asked for, wants a
// login, or refuses. It tells what it was asked.

import type { Socket } from "bun";

export interface ProxyTerms {
  /** Where it connects to, whatever it is asked. */
  readonly port: number;
  /** "user:password" that it wants. */
  readonly login?: string;
  /** Reply code in place of a connection. */
  readonly refuses?: number;
  /** Every answer comes a byte at a time. */
  readonly dribbles?: true;
}

export interface FakeProxy {
  readonly port: number;
  /** "host:port" of each request. */
  readonly asked: string[];
  stop(): void;
}

interface Peer {
  step: "method" | "login" | "request" | "through";
  beyond: Socket<undefined> | null;
}

const LOGIN = 2;

export function startFakeProxy({ port: onTo, login, refuses = 0, dribbles }: ProxyTerms): FakeProxy {
  const asked: string[] = [];

  async function answer(socket: Socket<Peer>, bytes: readonly number[]): Promise<void> {
    if (dribbles !== true) return void socket.write(Buffer.from(bytes));
    for (const byte of bytes) {
      socket.write(Buffer.from([byte]));
      socket.flush();
      await new Promise(setImmediate);
    }
  }

  async function connectOn(socket: Socket<Peer>, request: Buffer): Promise<void> {
    const isName = request[3] === 3;
    const end = isName ? 5 + request[4]! : 8;
    const host = isName ? request.toString("latin1", 5, end) : [...request.subarray(4, end)].join(".");
    asked.push(`${host}:${request.readUInt16BE(end)}`);
    if (refuses === 0) {
      socket.data.beyond = await Bun.connect<undefined>({
        hostname: "127.0.0.1",
        port: onTo,
        socket: {
          data: (_, chunk) => void socket.write(chunk),
          close: () => void socket.end(),
          error: () => void socket.end(),
        },
        data: undefined,
      });
    }
    socket.data.step = "through";
    await answer(socket, [5, refuses, 0, 3, 2, 0x61, 0x62, 0, 80]);
  }

  const server = Bun.listen<Peer>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { step: "method", beyond: null };
      },
      data(socket, chunk) {
        const { data: peer } = socket;
        if (peer.step === "method") {
          const knowsLogin = chunk.subarray(2).includes(LOGIN);
          peer.step = login === undefined ? "request" : "login";
          return void answer(socket, [5, login === undefined ? 0 : knowsLogin ? LOGIN : 0xff]);
        }
        if (peer.step === "login") {
          const name = chunk.toString("utf8", 2, 2 + chunk[1]!);
          const password = chunk.toString("utf8", 3 + chunk[1]!);
          peer.step = "request";
          return void answer(socket, [1, `${name}:${password}` === login ? 0 : 1]);
        }
        if (peer.step === "request") return void connectOn(socket, chunk);
        peer.beyond?.write(chunk);
      },
      close: ({ data }) => void data.beyond?.end(),
      error: () => {},
    },
    data: { step: "method", beyond: null },
  });
  return { port: server.port, asked, stop: () => server.stop(true) };
}
