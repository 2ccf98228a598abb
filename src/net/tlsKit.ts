// TLS kit: everything that a listener's handshakes need, loaded from its files and checked before anybody uses it:
// certificates with their keys, authorities and CRLs of client certificates. A kit does not change; when files are
// replaced, a new kit is loaded, and new handshakes use that.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { unreadableText } from "../base/unreadable.ts";
import type { CertificateFiles, TlsSettings } from "./transport.ts";

/** What is wrong with one of the files. */
export class TlsFileError extends Error {
  override readonly name = "TlsFileError";
  /** The key of the configuration that names the file. */
  readonly key: TlsFileKey;
  /** Which of `names` it is; -1 for the listener's own. */
  readonly index: number;
  readonly path: string;
  readonly reason: string;

  constructor({ key, index, path }: TlsFile, reason: string) {
    super(`${path}: ${reason}`);
    this.key = key;
    this.index = index;
    this.path = path;
    this.reason = reason;
  }
}

export type TlsFileKey = "certpath" | "keypath" | "capath" | "crlpath";

interface TlsFile {
  readonly key: TlsFileKey;
  readonly index: number;
  readonly path: string;
}

/** The form that Bun's sockets take; opaque. */
export type SecureContext = object;

export interface TlsKit {
  readonly context: SecureContext;
  readonly policy: { readonly requestCert: boolean; readonly rejectUnauthorized: boolean };
  /** When the first of its certificates ends, ms since 1970. */
  readonly expiresWallMs: number;
  /** What is right but looks like a mistake: a certificate that is not valid now, or not for the name it stands for. */
  readonly warnings: readonly string[];
  /** The context for clients that ask for `name`; undefined for the listener's own. */
  contextFor(name: string): SecureContext | undefined;
}

/** Files are small; whatever is larger is something else. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PEM_CRL = /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g;

/** Every file that `settings` name. */
export function tlsFiles(settings: TlsSettings): string[] {
  const certificates = [settings, ...settings.names];
  const paths = certificates.flatMap(({ certificatePath, keyPath }) => [certificatePath, keyPath]);
  for (const path of [settings.authoritiesPath, settings.revokedPath]) if (path !== null) paths.push(path);
  return [...new Set(paths)];
}

/** Reads and checks the files. Throws TlsFileError. */
export function loadTlsKit(settings: TlsSettings, wallMs: number): TlsKit {
  const shared = { ...readTrust(settings), minVersion: `TLSv${settings.versionMin}` as const };
  const warnings: string[] = [];
  const expiries: number[] = [];
  const contextOf = (files: CertificateFiles, index: number): SecureContext => {
    const { cert, key, leaf } = readPair(files, index);
    const validFrom = Date.parse(leaf.validFrom);
    const validTo = Date.parse(leaf.validTo);
    expiries.push(validTo);
    if (wallMs < validFrom || wallMs > validTo)
      warnings.push(`${files.certificatePath} is valid from ${leaf.validFrom} to ${leaf.validTo}, not now`);
    const name = settings.names[index]?.name;
    if (name !== undefined && !isFor(leaf, name))
      warnings.push(`${files.certificatePath} is no certificate for ${name}`);
    return newContext({ ...shared, cert, key }, { key: "certpath", index, path: files.certificatePath });
  };
  const context = contextOf(settings, -1);
  const byName = new Map(settings.names.map((files, index) => [files.name, contextOf(files, index)]));
  return {
    context,
    policy: {
      requestCert: settings.clientCertificate !== "none",
      rejectUnauthorized: settings.clientCertificate === "required",
    },
    expiresWallMs: Math.min(...expiries),
    warnings,
    contextFor(asked) {
      const name = asked.toLowerCase();
      return byName.get(name) ?? byName.get(`*${name.slice(name.indexOf("."))}`);
    },
  };
}

/** The authorities and CRLs of client certificates. */
function readTrust(settings: TlsSettings): { ca?: string; crl?: string[] } {
  const { authoritiesPath, revokedPath } = settings;
  if (settings.clientCertificate === "none" || authoritiesPath === null) return {};
  const ca = { key: "capath", index: -1, path: authoritiesPath } as const;
  const authorities = read(ca);
  certificatesOf(authorities, ca);
  if (revokedPath === null) return { ca: authorities };
  const crl = { key: "crlpath", index: -1, path: revokedPath } as const;
  const lists = read(crl).match(PEM_CRL);
  if (lists === null) throw new TlsFileError(crl, "it holds no certificate revocation list in PEM");
  newContext({ ca: authorities, crl: [...lists] }, crl);
  return { ca: authorities, crl: [...lists] };
}

/** A certificate and the key that belongs to it. */
function readPair(
  files: CertificateFiles,
  index: number,
): { cert: string; key: string; leaf: X509Certificate } {
  const certFile = { key: "certpath", index, path: files.certificatePath } as const;
  const keyFile = { key: "keypath", index, path: files.keyPath } as const;
  const cert = read(certFile);
  const leaf = certificatesOf(cert, certFile)[0]!;
  const key = read(keyFile);
  let privateKey: ReturnType<typeof createPrivateKey>;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    throw new TlsFileError(keyFile, "it holds no private key in PEM, or one with a passphrase");
  }
  if (!leaf.checkPrivateKey(privateKey))
    throw new TlsFileError(keyFile, `it is not the key of ${files.certificatePath}`);
  return { cert, key, leaf };
}

function read(file: TlsFile): string {
  try {
    const bytes = readFileSync(file.path);
    if (bytes.length <= FILE_BYTES_MAX) return bytes.toString("latin1");
  } catch (error) {
    throw new TlsFileError(file, unreadableText(error, file.path) ?? "it cannot be read");
  }
  throw new TlsFileError(file, "it is too large to be what it is said to be");
}

/** At least one. */
function certificatesOf(pem: string, file: TlsFile): X509Certificate[] {
  const blocks = pem.match(PEM_CERTIFICATE);
  if (blocks === null) throw new TlsFileError(file, "it holds no certificate in PEM");
  return blocks.map((block, at) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw new TlsFileError(file, `its certificate ${at + 1} of ${blocks.length} is broken`);
    }
  });
}

function newContext(options: Parameters<typeof createSecureContext>[0], file: TlsFile): SecureContext {
  try {
    return createSecureContext(options).context as SecureContext;
  } catch (error) {
    throw new TlsFileError(file, `TLS does not take it: ${(error as Error).message}`);
  }
}

/** A wildcard is asked with a name that it stands for. */
function isFor(leaf: X509Certificate, name: string): boolean {
  return leaf.checkHost(name.replace("*", "any")) !== undefined;
}
