// From settings to the authenticator of tokens, with their keys. A file of its own, so that it is loaded only where
// tokens are used.

import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { JwtSettings } from "../net/authSettings.ts";
import { Authorities } from "./authorities.ts";
import type { AuthFile } from "./create.ts";
import { JwtAuthenticator } from "./jwt.ts";
import { type FileKeys, JwksFileKeys, JwksUrlKeys, type JwtKeys, PemKeys, SecretKeys } from "./jwtKeys.ts";

/** How often the log is told that keys cannot be fetched. */
const WARNING_MS = 60_000;

/** The key that names a file of each kind, and what to do where there is none. */
const FILES = {
  secret: ["secret_file", "put the secret that the issuer signs with there"],
  pem: ["public_key_file", "put the issuer's public key or certificate there"],
  jwks: ["jwks_file", "put the issuer's key set there"],
} as const;

interface Parts {
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface CreatedJwt {
  readonly authenticator: JwtAuthenticator;
  readonly files: readonly AuthFile[];
}

export function createJwt(settings: JwtSettings, parts: Parts): CreatedJwt {
  const { key } = settings;
  const made = (keys: JwtKeys, files: readonly AuthFile[]): CreatedJwt => {
    return { authenticator: new JwtAuthenticator(settings, keys, parts.clock), files };
  };
  if (key.kind === "url") {
    const authorities = new Authorities(key.authoritiesPath, "jwt");
    return made(urlKeys(key.url, settings.jwksRefreshMs, authorities, parts), authorities.files);
  }
  const { kind, path } = key;
  const keys = fileKeys(kind, path, settings);
  const load = (text: string): Promise<void> => keys.load(text);
  const [name, advice] = FILES[kind];
  return made(keys, [
    { path, key: ["auth", "jwt", name], what: "the file of the keys of tokens", advice, load },
  ]);
}

function fileKeys(kind: "secret" | "pem" | "jwks", path: string, { algorithms }: JwtSettings): FileKeys {
  if (kind === "secret") return new SecretKeys(path, algorithms);
  return kind === "pem" ? new PemKeys(path, algorithms) : new JwksFileKeys(path);
}

function urlKeys(
  url: string,
  refreshMs: number,
  authorities: Authorities,
  { clock, logger }: Parts,
): JwksUrlKeys {
  let nextWarningMs = Number.NEGATIVE_INFINITY;
  const failed = (reason: string): void => {
    const now = clock.nowMs();
    if (now < nextWarningMs) return;
    nextWarningMs = now + WARNING_MS;
    logger.warn({}, `the keys of tokens cannot be fetched: ${reason}`);
  };
  return new JwksUrlKeys(url, refreshMs, clock, failed, () => authorities.pem);
}
