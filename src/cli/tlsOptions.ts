// TLS of the command line's clients: the options, with mosquitto's names, and what they come to. What Bun's TLS does
// not have is an error that says so, and never a connection without it.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, Option } from "commander";
import { CommandError } from "./end.ts";
import type { Tls } from "./mqtt/target.ts";

export interface TlsFlags {
  readonly tls?: true;
  readonly tlsUseOsCerts?: true;
  readonly cafile?: string;
  readonly capath?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly keyform?: "pem" | "engine";
  readonly tlsVersion?: keyof typeof VERSIONS;
  readonly ciphers?: string;
  readonly tlsAlpn?: string;
  readonly insecure?: true;
  readonly psk?: string;
  readonly pskIdentity?: string;
  readonly tlsEngine?: string;
  readonly tlsEngineKpassSha1?: string;
}

/** As they stand in the protocol. */
const VERSIONS = { "tlsv1.3": 0x0304, "tlsv1.2": 0x0303, "tlsv1.1": 0x0302 } as const;
const CERTIFICATE = "-----BEGIN CERTIFICATE-----";
/** Names of certificates in a folder: those that people give, and the links that `openssl rehash` makes. */
const CERTIFICATE_FILE = /\.(?:pem|crt|cer)$|^[0-9a-f]{8}\.\d+$/i;
const ALPN_BYTES_MAX = 255;

export function addTlsOptions(command: Command): Command {
  return command
    .optionsGroup("TLS:")
    .option("--tls", "TLS, with the authorities that this system trusts")
    .option("--cafile <file>", "TLS, with the authorities in this PEM file")
    .option("--capath <dir>", "TLS, with the authorities in the .pem and .crt files of this folder")
    .option("--cert <file>", "certificate of this client, PEM")
    .option("--key <file>", "its private key, PEM")
    .option("--insecure", "TLS that takes any certificate, for trials alone")
    .addOption(
      new Option("--tls-version <version>", "TLS of this version or later").choices(Object.keys(VERSIONS)),
    )
    .option("--ciphers <list>", "cipher suites, as OpenSSL names them (TLS 1.2 and before)")
    .option("--tls-alpn <protocol>", "the protocol to ask for, of a port that has several (ALPN)")
    .addOption(new Option("--tls-use-os-certs").hideHelp())
    .addOption(new Option("--keyform <form>").choices(["pem", "engine"]).hideHelp())
    .addOption(new Option("--tls-engine <engine>").hideHelp())
    .addOption(new Option("--tls-engine-kpass-sha1 <hash>").hideHelp())
    .addOption(new Option("--psk <hex>").hideHelp())
    .addOption(new Option("--psk-identity <identity>").hideHelp());
}

/** Whether an option says that the connection is to be TLS. */
export function wantsTls(flags: TlsFlags): boolean {
  const { tls, tlsUseOsCerts, cafile, capath, cert, insecure, tlsVersion, ciphers, tlsAlpn } = flags;
  const all = [tls, tlsUseOsCerts, cafile, capath, cert, insecure, tlsVersion, ciphers, tlsAlpn];
  return all.some((flag) => flag !== undefined);
}

/** Throws CommandError. */
export function tlsOf(flags: TlsFlags): Tls {
  refuseMissing(flags);
  const { cafile, capath, cert, key, tlsVersion, ciphers, tlsAlpn, insecure } = flags;
  if ((cert === undefined) !== (key === undefined))
    throw new CommandError(
      "--cert and --key go together: the certificate of this client and its private key",
    );
  const authorities = [
    ...(cafile === undefined ? [] : [fileText("--cafile", cafile)]),
    ...(capath === undefined ? [] : folderTexts(capath)),
  ];
  return {
    ca: authorities.length === 0 ? undefined : authorities.join("\n"),
    cert: cert === undefined ? undefined : fileText("--cert", cert),
    key: key === undefined ? undefined : fileText("--key", key),
    insecure: insecure === true,
    ...(tlsVersion !== undefined && { versionMin: VERSIONS[tlsVersion] }),
    ...(ciphers !== undefined && { ciphers }),
    ...(tlsAlpn !== undefined && { alpn: alpnOf(tlsAlpn) }),
  };
}

function refuseMissing({ psk, pskIdentity, keyform, tlsEngine, tlsEngineKpassSha1 }: TlsFlags): void {
  if (psk !== undefined || pskIdentity !== undefined)
    throw new CommandError(
      "--psk: Bun's TLS has no pre-shared keys; use a certificate (--cert, --key) or a user name (-u, -P)",
    );
  if (keyform === "engine" || tlsEngine !== undefined || tlsEngineKpassSha1 !== undefined)
    throw new CommandError("--tls-engine: Bun's TLS has no engines; give the private key as PEM with --key");
}

function alpnOf(protocol: string): string {
  const { length } = Buffer.from(protocol);
  if (length === 0 || length > ALPN_BYTES_MAX)
    throw new CommandError(`--tls-alpn: the name of a protocol has 1 to ${ALPN_BYTES_MAX} bytes`);
  return protocol;
}

/** Certificates that stand there twice, as links do, are taken once. */
function folderTexts(folder: string): string[] {
  const names = read("--capath", folder, () => readdirSync(folder));
  const texts = names
    .filter((name) => CERTIFICATE_FILE.test(name))
    .map((name) => fileText("--capath", join(folder, name)))
    .filter((text) => text.includes(CERTIFICATE));
  if (texts.length === 0)
    throw new CommandError(`--capath ${folder}: no file in it holds a certificate in PEM`);
  return [...new Set(texts)];
}

/** Throws CommandError, `option` before it. */
export function fileText(option: string, file: string): string {
  return read(option, file, () => readFileSync(file, "utf8"));
}

function read<T>(option: string, path: string, reads: () => T): T {
  try {
    return reads();
  } catch (error) {
    throw new CommandError(`${option} ${path}: ${error instanceof Error ? error.message : error}`);
  }
}
