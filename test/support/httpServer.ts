// An HTTP server of a test's own: it answers as it is told, and remembers what it was asked.

import type { Pair } from "./certificates.ts";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly type: string | null;
  readonly body: string;
}

export interface TestServer {
  readonly url: string;
  readonly asked: Asked[];
  /** What it answers from now on. */
  answer: (asked: Asked) => Response | Promise<Response>;
  stop(): Promise<void>;
}

/** With `pair`, it speaks https. */
export function httpServer(answer: TestServer["answer"], pair?: Pair): TestServer {
  const asked: Asked[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    ...(pair === undefined ? {} : { tls: { cert: Bun.file(pair.cert), key: Bun.file(pair.key) } }),
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const type = request.headers.get("content-type");
      const one = { method: request.method, path: pathname, type, body: await request.text() };
      asked.push(one);
      return await self.answer(one);
    },
  });
  const self: TestServer = {
    url: `${pair === undefined ? "http" : "https"}://127.0.0.1:${server.port}`,
    asked,
    answer,
    stop: () => server.stop(true),
  };
  return self;
}
