// Millrace as a library: a broker within another program, which may judge its clients and publish and subscribe itself.
//
//   const broker = await Broker.start({ config: '[v5.1]\nlisten = "127.0.0.1:1883"' });
//   broker.subscribe("plant/#", (message) => console.log(message.topic, message.text()));
//   broker.publish("plant/1/state", "running", { retain: true });
//   await broker.stop();

import type { Authenticate } from "./auth/embedded.ts";
import { ByteWriter } from "./base/byteWriter.ts";
import type { Logger } from "./base/logger.ts";
import { type Broker as RunningBroker, type ListeningAt, startBroker } from "./broker.ts";
import { findConfig } from "./config/find.ts";
import { parseConfig } from "./config/load.ts";
import type { ConnectAttempt, Verdict } from "./net/access.ts";
import { Link, type LinkMessage } from "./net/link.ts";
import { writeProperties } from "./packet/encodeProperties.ts";
import { errors } from "./packet/error.ts";
import { frameBody } from "./packet/frame.ts";
import type { Properties } from "./packet/properties.ts";
import type { Rights } from "./session/rights.ts";
import { validTopicName } from "./topic/topicName.ts";

export type { Logger } from "./base/logger.ts";
export type { ListeningAt } from "./broker.ts";
export { ConfigError } from "./config/problems.ts";
export type { ConnectAttempt, Grant, PeerCertificate, Verdict } from "./net/access.ts";
export type { Properties } from "./packet/properties.ts";
export type { ReceiveRule, Rights } from "./session/rights.ts";

/** A client that a hook is asked about. */
export interface Client {
  readonly clientIdentifier: string;
  /** As proved; "" for an anonymous client. */
  readonly userName: string;
}

/** What the program is asked. Absent hooks permit; what throws or rejects forbids. */
export interface Hooks {
  /**
   * Each CONNECT. True lets the client in, by the user name that it gave; false does not; undefined leaves it to what
   * the configuration says. A Verdict says more: rights, a tenant, an end.
   */
  connect?(attempt: ConnectAttempt): Answer | Promise<Answer>;
  /** Once for each client and topic, not for each message: the answer is kept with the route. */
  publish?(client: Client, topicName: string): boolean;
  /** Each Topic Filter of a SUBSCRIBE, without its $share/group/. */
  subscribe?(client: Client, topicFilter: string): boolean;
}

export type Answer = boolean | Verdict | undefined;

export interface BrokerOptions {
  /** The text of a configuration, in TOML. Without it, and without `file`, one listener on 127.0.0.1:1883. */
  readonly config?: string;
  /** A configuration by its path, looked for as `--config` is. */
  readonly file?: string;
  readonly hooks?: Hooks;
  /** Absent: nothing is said. */
  readonly logger?: Logger;
}

export interface PublishOptions {
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  readonly properties?: Readonly<Properties>;
}

export interface SubscribeOptions {
  /** 1: a message is acknowledged when the handler's promise is fulfilled. Default 0. */
  readonly qos?: 0 | 1;
  /** Retained messages come first. Default true. */
  readonly retained?: boolean;
  /** QoS 1 messages that handlers may hold at one time. Default 64. */
  readonly window?: number;
}

/** A message as a handler gets it; it may be kept. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  /** It was retained before the subscription. */
  readonly retain: boolean;
  readonly properties: Readonly<Properties>;
  /** The payload as UTF-8. */
  text(): string;
}

export interface Subscribed {
  close(): void;
}

const DEFAULT_CONFIG = '[v5.1]\nlisten = "127.0.0.1:1883"\n';
const WINDOW = 64;
const TOPIC_BYTES_MAX = 65_535;

const silent: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  isEnabled: () => false,
};

export class Broker {
  private readonly running: RunningBroker;
  private links = 0;

  private constructor(running: RunningBroker) {
    this.running = running;
  }

  /** Resolves when clients can connect. Rejects with ConfigError, or with the system's error, with `code`. */
  static async start(options: BrokerOptions = {}): Promise<Broker> {
    const { config, file, hooks, logger = silent } = options;
    const found =
      file === undefined ? { text: config ?? DEFAULT_CONFIG, file: "configuration" } : findConfig(file);
    const { settings, warnings } = parseConfig(found);
    for (const warning of warnings) logger.warn({}, warning);
    return new Broker(await startBroker(settings, logger, hooks === undefined ? null : judgedBy(hooks)));
  }

  /** What listens where; the ports are those that the system gave where 0 was asked for. */
  get listeners(): readonly ListeningAt[] {
    return this.running.listeners;
  }

  /** False when the log has no room: nothing was published. Throws for what is no Topic Name. */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): boolean {
    if (!validTopicName(topic) || Buffer.byteLength(topic) > TOPIC_BYTES_MAX) {
      throw new TypeError(`${JSON.stringify(topic.slice(0, 100))} is no Topic Name`);
    }
    const { qos = 0, retain = false, properties } = options;
    const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
    return this.running.router.publish(topic, bytes, { qos, retain, properties: propertyBytes(properties) });
  }

  /** Calls `handler` with each message that the filter matches. Throws for what is no Topic Filter. */
  subscribe(
    filter: string,
    handler: (message: Message) => void | Promise<void>,
    options: SubscribeOptions = {},
  ): Subscribed {
    const { qos = 0, retained = true, window = WINDOW } = options;
    const link = new Link(this.running.router, `$millrace/link/${++this.links}`, window, {
      onMessage: (message) => handler(kept(message)),
    });
    try {
      link.subscribe(filter, qos, retained);
    } catch (error) {
      link.close();
      throw error;
    }
    return { close: () => link.close() };
  }

  /** Ends the connection of a client, if it has one. */
  disconnect(clientIdentifier: string): boolean {
    const port = this.running.router.sessions.get(clientIdentifier)?.port ?? null;
    port?.disconnect(errors.administrativeAction);
    return port !== null;
  }

  /** Tells MQTT 5 clients, closes everything and resolves when nothing is left open. */
  stop(): Promise<void> {
    return this.running.stop();
  }
}

/** A copy: the link's own message is good only until the handler has returned. */
function kept({ topic, payload, qos, retain, properties }: LinkMessage): Message {
  return { topic, payload, qos, retain, properties, text: () => new TextDecoder().decode(payload) };
}

/** Without their length. */
function propertyBytes(properties: Readonly<Properties> | undefined): Uint8Array {
  const out = new ByteWriter();
  if (properties === undefined) return out.bytes.subarray(0, 0);
  out.u8(0); // where a packet's type stands
  writeProperties(out, properties);
  return out.bytes.slice(frameBody(out.bytes, 0), out.length);
}

/** Hooks as what judges a CONNECT and what a client may do. */
function judgedBy(hooks: Hooks): Authenticate {
  return async (attempt) => {
    const answer = (await hooks.connect?.(attempt)) ?? (hooks.connect === undefined ? true : undefined);
    if (answer === undefined) return null;
    if (answer === false)
      return { granted: false, error: errors.notAuthorized, reason: "the program refused it" };
    if (answer !== true) return answer;
    const userName = hooks.connect === undefined ? "" : (attempt.userName ?? "");
    const { clientIdentifier } = attempt;
    return {
      granted: true,
      userName,
      tenant: null,
      claims: {},
      rights: rightsBy(hooks, { clientIdentifier, userName }),
      expiresWallMs: Number.POSITIVE_INFINITY,
    };
  };
}

function rightsBy({ publish, subscribe }: Hooks, client: Client): Rights | null {
  if (publish === undefined && subscribe === undefined) return null;
  return {
    mayPublish: (topic) => permitted(() => publish?.(client, topic) ?? true),
    maySubscribe: (filter) => permitted(() => subscribe?.(client, filter) ?? true),
    receiveRule: () => null,
    mayReceive: () => true,
  };
}

function permitted(ask: () => boolean): boolean {
  try {
    return ask();
  } catch {
    return false;
  }
}
