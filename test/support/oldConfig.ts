// An old configuration on its machine: the files of its time with the certificates that they name, what they become,
// and the broker that runs with it.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectAsync, type IClientOptions } from "mqtt";
import { type Migrated, migrate, type OriginName } from "../../src/config/migrate/migrate.ts";
import { start } from "../cli/program.ts";
import { Authority } from "./certificates.ts";

export const OLD_FOLDER = join(import.meta.dir, "../config/old");

export interface RunningBroker {
  /** Port of each listener, by its section. */
  readonly ports: ReadonlyMap<string, number>;
  /** 0 when a client comes in through the listener, else the CONNACK code, or -1 when there was none. */
  connect(section: string, options?: IClientOptions): Promise<number>;
  stop(): Promise<void>;
}

export class OldMachine {
  readonly folder: string;
  /** For TLS clients: the authority, and a certificate with the CN dashboard. */
  readonly ca: Buffer;
  readonly client: { readonly cert: Buffer; readonly key: Buffer };
  private readonly authority = new Authority();

  constructor() {
    const { authority } = this;
    this.folder = authority.folder;
    const tls = join(this.folder, "tls");
    mkdirSync(tls);
    const server = authority.server();
    copyFileSync(authority.cert, join(tls, "ca.cert.pem"));
    for (const name of ["server", "bridge"]) {
      copyFileSync(server.cert, join(tls, `${name}.cert.pem`));
      copyFileSync(server.key, join(tls, `${name}.key.pem`));
    }
    const files = ["-inkey", server.key, "-in", server.cert, "-out", join(tls, "identity.p12")];
    this.run(["openssl", "pkcs12", "-export", ...files, "-passout", "pass:open sesame"]);
    const client = authority.issue({ subject: "/CN=dashboard" });
    this.ca = readFileSync(authority.cert);
    this.client = { cert: readFileSync(client.cert), key: readFileSync(client.key) };
  }

  run(command: readonly string[]): void {
    const { exitCode, stderr } = Bun.spawnSync([...command], { cwd: this.folder, stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
  }

  /** The old file, its relative paths made absolute. */
  text(name: string): string {
    const text = readFileSync(join(OLD_FOLDER, name), "utf8");
    return text
      .replaceAll(/(?<![\w/])(?=tls\/)/g, `${this.folder}/`)
      .replaceAll("/run/plant", `${this.folder}/run`);
  }

  /** What becomes of `text`, with relative paths again. */
  migrated(text: string, from: OriginName = "rumqttd", file = "old.toml"): Migrated {
    const result = migrate({ text, file }, from, "new.toml");
    return { ...result, text: this.relative(result.text) };
  }

  relative(text: string): string {
    return text.replaceAll(`${this.folder}/`, "");
  }

  /** Does what the comments of a new file say is to be done once. */
  obey(text: string): void {
    for (const [, command = ""] of text.matchAll(/^# {3}(openssl pkcs12 .*)$/gm)) {
      this.run(["sh", "-c", `${command} -passin 'pass:open sesame'`]);
    }
  }

  /** Runs the broker with `text`, every port replaced by a free one. */
  async broker(text: string): Promise<RunningBroker> {
    const path = join(this.folder, "new.toml");
    const free = text.replaceAll(/^(listen = "(?!unix)).*:\d+"/gm, '$1127.0.0.1:0"');
    writeFileSync(path, free.replaceAll('"unix:run', `"unix:${this.folder}/run`));
    const program = start(["--config", path, "--log-format", "json"], { cwd: this.folder });
    await program.until('"msg":"ready');
    const ports = new Map<string, number>();
    for (const [, section = "", port] of program
      .output()
      .matchAll(/"listener":"([^"]+)".*?"address":"[^"]*:(\d+)"/g)) {
      ports.set(section, Number(port));
    }
    return {
      ports,
      connect: (section, options) => this.connect(section, ports.get(section) ?? 0, options),
      async stop() {
        program.kill("SIGTERM");
        const { status, stderr } = await program.outcome;
        if (status !== 0) throw new Error(`the broker ended with ${status}: ${stderr}`);
      },
    };
  }

  private async connect(section: string, port: number, options: IClientOptions = {}): Promise<number> {
    const isSecure = options.ca !== undefined;
    const kind = section.startsWith("ws") ? (isSecure ? "wss" : "ws") : isSecure ? "mqtts" : "mqtt";
    const common: IClientOptions = {
      reconnectPeriod: 0,
      connectTimeout: 5_000,
      rejectUnauthorized: isSecure,
    };
    try {
      const client = await connectAsync(`${kind}://localhost:${port}`, { ...common, ...options });
      await client.endAsync();
      return 0;
    } catch (error) {
      const { code } = error as { code?: unknown };
      return typeof code === "number" ? code : -1;
    }
  }

  remove(): void {
    this.authority.remove();
  }
}
