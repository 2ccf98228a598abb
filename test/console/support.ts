// A console of a test broker, asked without a socket.

import { consoleApp } from "../../src/console/server.ts";
import type { ConsoleUsers } from "../../src/console/gate.ts";
import type { Operations } from "../../src/console/ports.ts";
import type { TestBroker } from "../support/broker.ts";
import { WireClient } from "../support/wireClient.ts";

export const NOBODY: ConsoleUsers = { token: null, user: null };

/** Operations that remember what they were asked. */
export class FakeOperations implements Operations {
  readonly version = "0.0.0";
  filter = "info";
  readonly followers = new Set<(line: string) => void>();
  readonly tail = {
    follow: (line: (text: string) => void): (() => void) => {
      this.followers.add(line);
      return () => void this.followers.delete(line);
    },
  };
  configuration(): unknown {
    return { router: { id: 7 } };
  }
  readonly refusals: string[] = [];
  refused(address: string): void {
    this.refusals.push(address);
  }
  async reload() {
    return { applied: ["[router] memory"], needsRestart: ["[v4.1] listen"] };
  }
  logFilter(): string {
    return this.filter;
  }
  setLogFilter(text: string): readonly string[] {
    if (text === "nonsense") throw new Error("no filter");
    this.filter = text;
    return text.includes("::") ? ["modules are not told apart"] : [];
  }
}

export interface Asked {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

export function consoleOf(one: TestBroker, users = NOBODY, operations = new FakeOperations()) {
  const { app, close } = consoleApp(one.broker.host, users, operations);
  async function ask(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const request = new Request(`http://localhost${path}`, {
      method,
      headers: { host: "localhost", ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return app.fetch(request, { address: "127.0.0.1" });
  }
  return {
    operations,
    close,
    ask,
    async json(method: string, path: string, body?: unknown): Promise<Asked> {
      const response = await ask(method, path, body);
      return { status: response.status, json: (await response.json()) as Record<string, unknown> };
    },
  };
}

/** A client of MQTT 5 that acknowledges nothing, with so many messages on their way at most. */
export async function deviceOf(one: TestBroker, clientId: string, receiveMaximum = 10): Promise<WireClient> {
  const client = await WireClient.open(one.port, 5);
  await client.connect({ clientId, properties: { receiveMaximum } });
  return client;
}
