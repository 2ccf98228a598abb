// wireSuite: one broker for a test file and a test function whose clients are closed when the test ends. Titles carry
// the statements they show, `v3.1.1 [MQTT-…]` and `v5 [MQTT-…]`; test/spec/registry.test.ts reads them from the source.

import { afterAll, beforeAll, test } from "bun:test";
import { type BrokerOverrides, CONNECT_TIMEOUT_MS, startTestBroker, type TestBroker } from "./broker.ts";
import { pendingTitles } from "./pending.ts";
import { type ConnectOptions, DEADLINE_MS, type Version, WireClient } from "./wireClient.ts";

const TEST_TIMEOUT_MS = 20_000;

let serial = 0;

export interface Wire {
  readonly port: number;
  /** A name that no other test uses: topics and Client Identifiers share nothing. */
  name(stem: string): string;
  /** An open connection that has sent nothing. */
  open(version?: Version): Promise<WireClient>;
  /** A connected client; Client Identifier unless given: a fresh one. */
  client(version: Version, options?: ConnectOptions): Promise<WireClient>;
  /** More than two seconds, told by the broker itself: it closes a connection that never sends CONNECT. */
  timePasses(): Promise<void>;
}

type Body = (wire: Wire) => Promise<void>;

export interface WireTest {
  (title: string, body: Body): void;
  /** For tests that wait for the clock: they wait together. */
  together(title: string, body: Body): void;
}

export function wireSuite(overrides: BrokerOverrides = {}): WireTest {
  let broker: TestBroker | null = null;

  beforeAll(async () => {
    broker = await startTestBroker(overrides);
  });
  afterAll(async () => {
    await broker?.stop();
  });

  async function run(body: Body): Promise<void> {
    if (broker === null) throw new Error("the broker did not start");
    const { port } = broker;
    const clients: WireClient[] = [];
    const wire: Wire = {
      port,
      name: (stem) => {
        serial += 1;
        return `${stem}${serial}`;
      },
      open: async (version = 4) => {
        const client = await WireClient.open(port, version);
        clients.push(client);
        return client;
      },
      client: async (version, options = {}) => {
        const client = await wire.open(version);
        await client.connect({ clientId: wire.name("client"), ...options });
        return client;
      },
      timePasses: async () => {
        const mute = await wire.open();
        await mute.expectClosed(2 * CONNECT_TIMEOUT_MS + DEADLINE_MS);
      },
    };
    try {
      await body(wire);
    } finally {
      for (const client of clients) client.cut();
    }
  }

  function register(together: boolean, title: string, body: Body): void {
    const callback = (): Promise<void> => run(body);
    if (pendingTitles.has(title)) test.todo(title, callback);
    else if (together) test.concurrent(title, callback, TEST_TIMEOUT_MS);
    else test(title, callback, TEST_TIMEOUT_MS);
  }

  const wireTest = (title: string, body: Body): void => register(false, title, body);
  return Object.assign(wireTest, {
    together: (title: string, body: Body): void => register(true, title, body),
  });
}

export const versionName: Readonly<Record<Version, string>> = { 3: "v3.1", 4: "v3.1.1", 5: "v5" };
