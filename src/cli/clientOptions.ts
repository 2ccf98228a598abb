// The options that `pub`, `sub`, `bench` and `healthcheck` share, with mosquitto's names, and what they come to.

import { isIP } from "node:net";
import { type Command, InvalidArgumentError, Option } from "commander";
import { CommandError } from "./end.ts";
import type { Warn } from "./mqtt/again.ts";
import type { ClientTerms } from "./mqtt/client.ts";
import { type GivenProperties, type GivenProperty, splitProperty } from "./mqtt/properties.ts";
import { parseProxy } from "./mqtt/socks.ts";
import { parseUrl, PORT, portOf, type Target, type Tls, TLS_PORT, WS_PATH } from "./mqtt/target.ts";
import type { ProtocolLevel, QoS } from "../packet/protocol.ts";
import { validTopicName } from "../topic/topicName.ts";
import { addTlsOptions, fileText, type TlsFlags, tlsOf, wantsTls } from "./tlsOptions.ts";
import { integer, utf8 } from "./values.ts";

export interface ConnectFlags extends TlsFlags {
  readonly host?: string;
  readonly port?: string;
  readonly unix?: string;
  readonly ws?: true;
  readonly wsPath?: string;
  readonly url?: string;
  readonly srv?: true;
  readonly bind?: string;
  readonly proxy?: string;
  readonly username?: string;
  readonly pw?: string;
  readonly passwordFile?: string;
  readonly connectTimeout: number;
}

export interface SessionFlags extends ConnectFlags {
  readonly protocolVersion?: ProtocolLevel;
  readonly id?: string;
  readonly idPrefix?: string;
  readonly disableCleanSession?: true;
  readonly sessionExpiryInterval?: number;
  readonly keepalive: number;
  readonly maxInflight: number;
  readonly property?: readonly GivenProperty[];
  readonly willTopic?: string;
  readonly willPayload?: string;
  readonly willQos: QoS;
  readonly willRetain?: true;
  readonly debug?: true;
  readonly quiet?: true;
}

/** Where the broker is, and as whom to come. */
export interface ConnectTerms {
  readonly target: Target;
  readonly tls: Tls;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Of an address such as mqtt://host/topic. */
  readonly topic: string | undefined;
  readonly timeoutMs: number;
}

const HOST = "localhost";
const WS_PORT = 80;
const WSS_PORT = 443;
const KEEP_ALIVE_S = 60;
const INFLIGHT = 20;
const TIMEOUT_S = 10;
const SECONDS_MAX = 86_400;
const NEVER_EXPIRES = 0xffff_ffff;
const PASSWORD_VARIABLE = "MILLRACE_PASSWORD";
const VERSIONS: Readonly<Record<string, ProtocolLevel>> = {
  "5": 5,
  "5.0": 5,
  mqttv5: 5,
  "311": 4,
  "3.1.1": 4,
  mqttv311: 4,
  "31": 3,
  "3.1": 3,
  mqttv31: 3,
};

export function addConnectOptions(command: Command): Command {
  command
    .optionsGroup("Broker:")
    .option("-h, --host <host>", `host name or address (default: ${HOST})`)
    .option("-p, --port <port>", `port (default: ${PORT}, with TLS ${TLS_PORT}; with --ws 80 and 443)`)
    .option("--unix <path>", "a Unix socket instead of host and port")
    .option("--ws", "MQTT over WebSocket")
    .option("--ws-path <path>", `the same, and what its URL says behind host and port (default: ${WS_PATH})`)
    .option("-S, --srv", "look up host and port in the SRV records of the domain that -h names")
    .option(
      "-L, --url <url>",
      "all at once: mqtt://user:password@host:port/topic, mqtts:, ws:, wss:, unix:/path",
    )
    .option("-u, --username <name>", "user name", utf8)
    .option(
      "-P, --pw <password>",
      `password, for all to see; ${PASSWORD_VARIABLE} in the environment hides it`,
      utf8,
    )
    .option("--password-file <file>", "password, on the first line of a file")
    .option("-A, --bind <address>", "the address of this machine to connect from")
    .option("--proxy <url>", "through a SOCKS5 proxy: socks5h://user:password@host:port")
    .option("--connect-timeout <s>", "seconds to wait for the broker", integer(1, SECONDS_MAX), TIMEOUT_S)
    .addOption(new Option("--nodelay").hideHelp());
  return addTlsOptions(command);
}

export function addSessionOptions(command: Command): Command {
  return addConnectOptions(command)
    .optionsGroup("Session:")
    .addOption(versionOption("-V, --protocol-version <version>", "MQTT version (default: 5)"))
    .option("-i, --id <id>", "client identifier (default: a random one)", utf8)
    .option("-I, --id-prefix <prefix>", "the same, this process's number behind it", utf8)
    .option("-c, --disable-clean-session", "keep the session; wants --id")
    .option("-x, --session-expiry-interval <s>", "seconds that it is kept, -1 for ever (MQTT 5)", expiry)
    .option("-k, --keepalive <s>", "Keep Alive, seconds; 0 for none", integer(0, 65_535), KEEP_ALIVE_S)
    .option("-M, --max-inflight <n>", "QoS 1 and 2 messages in flight", integer(1, 65_534), INFLIGHT)
    .option(
      "-D, --property <packet> <name> <value>",
      "an MQTT 5 property, with two values when it is user-property",
      (text: string, all: readonly GivenProperty[] = []) => [...all, splitProperty(text)],
    )
    .option("-d, --debug", "a line on standard error for each packet")
    .option("--quiet", "no messages on standard error")
    .optionsGroup("Will:")
    .option("--will-topic <topic>", "where the broker publishes when this client is lost", utf8)
    .option("--will-payload <text>", "what it publishes")
    .addOption(qosOption("--will-qos <qos>", "Quality of Service"))
    .option("--will-retain", "retained");
}

export function qosOption(flags: string, text: string): Option {
  return new Option(flags, text).choices(["0", "1", "2"]).argParser(integer(0, 2)).default(0);
}

/** Without a default: what that is, `text` says. */
export function versionOption(flags: string, text: string): Option {
  return new Option(flags, text).choices(["5", "3.1.1", "3.1"]).argParser(versionOf);
}

function versionOf(text: string): ProtocolLevel {
  const found = VERSIONS[text.toLowerCase()];
  if (found === undefined) throw new InvalidArgumentError("It is 5, 3.1.1 or 3.1.");
  return found;
}

function expiry(text: string): number {
  if (text === "-1" || text === "∞") return NEVER_EXPIRES;
  return integer(0, NEVER_EXPIRES)(text);
}

/** Where to connect and as whom. Throws CommandError. */
export function connectTerms(flags: ConnectFlags): ConnectTerms {
  const url = flags.url === undefined ? undefined : parseUrl(flags.url);
  if (url?.target.tls === false && wantsTls(flags))
    throw new CommandError(`${flags.url}: this address is without TLS: write mqtts: or wss:`);
  const username = flags.username ?? url?.username;
  const password = flags.pw ?? passwordOf(flags.passwordFile) ?? url?.password;
  return {
    target: withRoute(url?.target ?? targetOf(flags), flags),
    tls: tlsOf(flags),
    username,
    password: password ?? (username === undefined ? undefined : process.env[PASSWORD_VARIABLE]),
    topic: url?.topic,
    timeoutMs: flags.connectTimeout * 1000,
  };
}

function targetOf(flags: ConnectFlags): Target {
  if (flags.unix !== undefined) return { kind: "unix", host: "", port: 0, path: flags.unix, tls: false };
  const given = flags.port === undefined ? undefined : portOf(flags.port);
  const isTls = wantsTls(flags) || given === TLS_PORT;
  const host = flags.host ?? HOST;
  if (flags.ws === true || flags.wsPath !== undefined) {
    const path = `/${flags.wsPath ?? WS_PATH}`.replace(/^\/+/, "/");
    return { kind: "ws", host, port: given ?? (isTls ? WSS_PORT : WS_PORT), path, tls: isTls };
  }
  return { kind: "tcp", host, port: given ?? (isTls ? TLS_PORT : PORT), path: "", tls: isTls };
}

/** With the way there. What cannot be done is said, not left out. */
function withRoute(target: Target, { bind, proxy, srv, host, url, tlsAlpn }: ConnectFlags): Target {
  if (tlsAlpn !== undefined && target.kind === "ws")
    throw new CommandError("--tls-alpn goes with TLS alone: WebSocket asks for http/1.1");
  const given = [bind && "-A", proxy && "--proxy", srv && "-S"].filter((option) => option !== undefined);
  if (given.length === 0) return target;
  if (target.kind !== "tcp")
    throw new CommandError(`${given[0]} goes with TCP and TLS alone, not with WebSocket or a Unix socket`);
  if (bind !== undefined && !isIP(bind))
    throw new CommandError(`-A ${bind}: write an address of this machine, such as 192.0.2.7`);
  if (srv === true && (host === undefined || url !== undefined))
    throw new CommandError("-S wants a domain to look up: name it with -h");
  return {
    ...target,
    ...(bind !== undefined && { bind }),
    ...(proxy !== undefined && { proxy: parseProxy(proxy) }),
    ...(srv === true && { isService: true }),
  };
}

function passwordOf(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  const [line = ""] = fileText("--password-file", file).split(/\r?\n/);
  if (line === "")
    throw new CommandError(`--password-file ${file}: its first line is empty; write the password there`);
  return line;
}

/** All that a client needs. `role` goes into an identifier that is not given. Throws CommandError. */
export function clientTerms(
  flags: SessionFlags,
  role: string,
  properties: { readonly connect: GivenProperties; readonly will: GivenProperties },
): ClientTerms {
  const { topic: _, ...connect } = connectTerms(flags);
  const terms = { ...connect, ...sessionTerms(flags, role, properties.connect) };
  if (terms.version !== 5 && terms.password !== undefined && terms.username === undefined)
    throw new CommandError("a password wants a user name before MQTT 5: give one with -u, or use -V 5");
  return { ...terms, will: willOf(flags, properties.will), trace: tracer(flags) };
}

function sessionTerms(flags: SessionFlags, role: string, given: GivenProperties) {
  if (flags.id !== undefined && flags.idPrefix !== undefined)
    throw new CommandError("-i and -I do not go together: one client has one identifier");
  const clean = flags.disableCleanSession !== true;
  const chosen = flags.id ?? (flags.idPrefix === undefined ? undefined : `${flags.idPrefix}${process.pid}`);
  const expires = flags.sessionExpiryInterval ?? (clean ? undefined : NEVER_EXPIRES);
  if (chosen === undefined && (!clean || expires === NEVER_EXPIRES))
    throw new CommandError("a session that is kept wants a name to find it by: give it one with --id");
  const needs5 = flags.property !== undefined || flags.sessionExpiryInterval !== undefined;
  if (needs5 && (flags.protocolVersion ?? 5) !== 5)
    throw new CommandError("-D and -x want MQTT 5: leave -V out, or use -V 5");
  return {
    version: flags.protocolVersion ?? (5 as const),
    clientId: chosen ?? `millrace-${role}-${crypto.randomUUID().slice(0, 8)}`,
    clean,
    keepAliveS: flags.keepalive,
    inflightMax: flags.maxInflight,
    properties: { ...(expires !== undefined && { sessionExpiryInterval: expires }), ...given },
  };
}

function willOf(flags: SessionFlags, properties: GivenProperties): ClientTerms["will"] {
  const { willTopic, willPayload = "", willQos, willRetain = false, protocolVersion = 5 } = flags;
  if (willTopic === undefined) {
    if (flags.willPayload === undefined && !willRetain && Object.keys(properties).length === 0)
      return undefined;
    throw new CommandError("a will wants a topic: give it one with --will-topic");
  }
  if (!validTopicName(willTopic)) throw new CommandError(topicProblem("--will-topic", willTopic));
  const payload = Buffer.from(willPayload);
  return {
    topic: willTopic,
    payload,
    qos: willQos,
    retain: willRetain,
    ...(protocolVersion === 5 && { properties }),
  };
}

export function topicProblem(option: string, topic: string): string {
  return `${option} ${JSON.stringify(topic)}: a topic to publish to has at least one character, and no + and no #`;
}

/** Sentences for people on standard error, unless `--quiet` is given. */
export function warner({ quiet }: SessionFlags): Warn {
  return (text) => void (quiet === true || process.stderr.write(`millrace: ${text}\n`));
}

function tracer({ debug, quiet }: SessionFlags): ClientTerms["trace"] {
  if (debug !== true || quiet === true) return undefined;
  return (line) => void process.stderr.write(`${line}\n`);
}
