// A broker of its own for a test file: any free port, no log output, generous limits unless a test narrows them.

import type { Authenticate } from "../../src/auth/embedded.ts";
import type { Logger } from "../../src/base/logger.ts";
import { type Broker, startBroker } from "../../src/broker.ts";
import { type AuthorizationSettings, NO_AUTHORIZATION } from "../../src/config/aclSettings.ts";
import type { ListenerSettings } from "../../src/net/settings.ts";
import { PLAIN_TCP } from "../../src/net/transport.ts";
import { NO_LIMITS } from "../../src/net/limits.ts";
import type { Access } from "../../src/net/access.ts";
import { type AuthSettings, NO_AUTH } from "../../src/net/authSettings.ts";
import { NO_SERVICES } from "../../src/config/serviceSettings.ts";
import type { RouterSettings } from "../../src/router/settings.ts";

export interface BrokerOverrides {
  readonly router?: Partial<RouterSettings>;
  readonly listener?: Partial<ListenerSettings>;
  readonly handshakesMax?: number;
  readonly auth?: AuthSettings;
  readonly authorization?: AuthorizationSettings;
  readonly access?: Access | Authenticate;
  readonly logger?: Logger;
}

export interface TestBroker {
  readonly port: number;
  readonly broker: Broker;
  stop(): Promise<void>;
}

const silentLogger: Logger = {
  debug(): void {},
  info(): void {},
  warn(): void {},
  error(): void {},
  isEnabled(): boolean {
    return false;
  },
};

const MIB = 1 << 20;

/** Short enough to serve tests as a clock: see Wire.timePasses. */
export const CONNECT_TIMEOUT_MS = 2_200;

export const routerDefaults: RouterSettings = {
  id: 0,
  memoryBytes: 64 * MIB,
  connectionsMax: 1_000,
  batchMessagesMax: 200,
  retentionBytes: 16 * MIB,
  retentionByFilter: [],
  initializedFilters: [],
  sharedStrategy: "roundrobin",
  paceDebtBytes: 2 * MIB,
  stallMs: 1_000,
};

export const listenerDefaults: ListenerSettings = {
  section: "v4.1",
  name: "test",
  host: "127.0.0.1",
  port: 0,
  transport: PLAIN_TCP,
  versions: [3, 4, 5],
  nextConnectionDelayMs: 0,
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
  payloadBytesMax: MIB,
  packetBytesMax: 2 * MIB,
  inflightMax: 100,
  receiveMaximum: 64,
  topicAliasMaximum: 16,
  qosMax: 2,
  retainAvailable: true,
  wildcardAvailable: true,
  sharedAvailable: true,
  identifiersAvailable: true,
  keepAliveMax: 0,
  sessionExpiryMax: 0xffffffff,
  emptyClientIdentifier: true,
  queueMessagesMax: 1_000,
  queueBytesMax: 4 * MIB,
  limits: NO_LIMITS,
  users: null,
  authChain: null,
  allowAnonymous: null,
};

export async function startTestBroker(overrides: BrokerOverrides = {}): Promise<TestBroker> {
  const broker = await startBroker(
    {
      router: { ...routerDefaults, ...overrides.router },
      listeners: [{ ...listenerDefaults, ...overrides.listener }],
      authorization: overrides.authorization ?? NO_AUTHORIZATION,
      auth: overrides.auth ?? NO_AUTH,
      services: NO_SERVICES,
      ...(overrides.handshakesMax === undefined ? {} : { handshakesMax: overrides.handshakesMax }),
    },
    overrides.logger ?? silentLogger,
    overrides.access ?? null,
  );
  const port = broker.listeners[0]?.port ?? 0;
  return { port, broker, stop: () => broker.stop() };
}
