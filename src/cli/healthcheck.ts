// `millrace healthcheck`: whether a broker accepts connections, for container health checks and scripts.

import type { Command } from "commander";
import type { Environment } from "../config/environment.ts";
import { defaultFolders, findConfig, type Folders } from "../config/find.ts";
import { tryConfig } from "../config/load.ts";
import { ConfigError } from "../config/problems.ts";
import type { BrokerSettings } from "../config/settings.ts";
import type { ListenerSettings } from "../net/settings.ts";
import { ANY } from "../net/webSocketSettings.ts";
import type { ProtocolLevel } from "../packet/protocol.ts";
import {
  addConnectOptions,
  type ConnectFlags,
  type ConnectTerms,
  connectTerms,
  versionOption,
} from "./clientOptions.ts";
import { brokerOf } from "./commandLine.ts";
import { CommandError } from "./end.ts";
import { Client } from "./mqtt/client.ts";
import { type Target, targetText, WS_PATH } from "./mqtt/target.ts";
import { onlyBroker, otherProcesses } from "./runningBroker.ts";
import type { Globals } from "./subcommand.ts";

interface Flags extends ConnectFlags {
  readonly protocolVersion?: ProtocolLevel;
  readonly quiet?: true;
}

interface Probe {
  readonly connect: ConnectTerms;
  readonly version: ProtocolLevel;
}

/** CONNACK codes that say who is let in, and so that all is well: 3.1.1's 4 and 5, 0x86, 0x87, 0x8A and 0x8C. */
const ALIVE_CODES: ReadonlySet<number> = new Set([4, 5, 0x86, 0x87, 0x8a, 0x8c]);

const HELP = `
Without an address it takes the first listener of the configuration that --config or MILLRACE_CONFIG
names, else of the broker that runs beside it, whatever that was started with: in a container this
needs no argument. Certificates are unchecked, as they are this machine's own. A broker that wants a
user name and is not given the right one is healthy too.

Examples:
  millrace --config /etc/millrace.toml healthcheck
  millrace healthcheck -p 1884
  HEALTHCHECK CMD ["millrace", "healthcheck"]      in a Dockerfile

Exit status: 0 healthy, and one line says where; 1 not, and one line says why.
`;

export function register(command: Command, globals: () => Globals): void {
  addConnectOptions(command)
    .optionsGroup("Check:")
    .addOption(versionOption("-V, --protocol-version <version>", "MQTT version (default: 3.1.1)"))
    .option("--quiet", "say nothing")
    .addHelpText("after", HELP)
    .action((flags: Flags) => check(flags, globals().config));
}

async function check(flags: Flags, config: string | undefined): Promise<void> {
  const isNamed = [flags.host, flags.port, flags.unix, flags.url].some((flag) => flag !== undefined);
  const connect = connectTerms(flags);
  const { protocolVersion: version } = flags;
  const probe: Probe = isNamed ? { connect, version: version ?? 4 } : configured(connect, version, config);
  const line = await answer(probe).catch((error: unknown) => {
    if (!(error instanceof CommandError)) throw error;
    if (flags.quiet !== true) process.stderr.write(`unhealthy: ${error.message}\n`);
    process.exitCode = 1;
  });
  if (typeof line === "string" && flags.quiet !== true) process.stdout.write(`healthy: ${line}\n`);
}

/** What the broker did, as a line; rejects with CommandError. */
async function answer({ connect, version }: Probe): Promise<string> {
  const where = targetText(connect.target);
  const from = performance.now();
  const took = (): string => `${(performance.now() - from).toFixed(1)} ms`;
  try {
    const client = await Client.connect(
      {
        ...connect,
        version,
        clientId: `millrace-health-${crypto.randomUUID().slice(0, 8)}`,
        clean: true,
        keepAliveS: 0,
        will: undefined,
        properties: {},
        inflightMax: 1,
        trace: undefined,
      },
      () => true,
    );
    const line = `${where} accepts connections, in ${took()}`;
    await client.disconnect();
    return line;
  } catch (error) {
    if (!(error instanceof CommandError && ALIVE_CODES.has(error.status))) throw error;
    return `${where} answers, in ${took()}, and lets in only whom it knows`;
  }
}

/** The first listener that can be connected to from here as it is. */
function configured(
  connect: ConnectTerms,
  version: ProtocolLevel | undefined,
  config: string | undefined,
): Probe {
  const { listeners } = config === undefined ? settingsOfRunning() : settingsOf(config);
  const listener = listeners.find(({ port, transport }) => {
    const wantsCertificate =
      transport.tls?.clientCertificate === "required" && connect.tls.cert === undefined;
    return (port > 0 || transport.unix !== null) && transport.trustedProxies === null && !wantsCertificate;
  });
  if (listener === undefined)
    throw new CommandError(
      "no listener of the configuration can be tried from here: name an address with --url",
    );
  return {
    connect: { ...connect, target: targetOf(listener), tls: { ...connect.tls, insecure: true } },
    version: version ?? (listener.versions.includes(4) ? 4 : (listener.versions[0] ?? 4)),
  };
}

/** Files that the configuration names are the broker's affair: it may have loaded them before they went bad. */
function settingsOf(
  config: string | undefined,
  folders: Folders = defaultFolders(),
  environment: Environment = process.env,
): BrokerSettings {
  const { read, problems, isOfFiles } = tryConfig(findConfig(config, folders), environment);
  if (!isOfFiles) throw new ConfigError(problems);
  return read.settings;
}

/** What the broker beside this process goes by; where there is none, the demo. */
function settingsOfRunning(): BrokerSettings {
  const brokers = otherProcesses().flatMap(({ args, folder, environment }) => {
    const broker = brokerOf(args, environment);
    return broker === undefined ? [] : [{ config: broker.config, folder, environment }];
  });
  const broker = onlyBroker(brokers);
  if (broker === undefined) return settingsOf(undefined);
  const { config, folder, environment } = broker;
  return settingsOf(config, { ...defaultFolders(), current: folder }, environment);
}

function targetOf({ host, port, transport }: ListenerSettings): Target {
  const { unix, tls, webSocket } = transport;
  if (unix !== null) return { kind: "unix", host: "", port: 0, path: unix.path, tls: false };
  return {
    kind: webSocket === null || transport.isSniffing ? "tcp" : "ws",
    host: ownAddress(host),
    port,
    path: webSocket === null || webSocket.path === ANY ? WS_PATH : webSocket.path,
    tls: tls !== null && !transport.isSniffing,
  };
}

/** An address that stands for all of them is reached by the loopback one. */
function ownAddress(host: string): string {
  if (host === "0.0.0.0" || host === "") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
