// The client's side of SCRAM, written apart from the server's: it checks the server's signature too.

import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

export type ScramName = "SCRAM-SHA-256" | "SCRAM-SHA-512";

export interface ScramOptions {
  readonly nonce?: string;
  readonly gs2?: string;
}

export class ScramClient {
  readonly first: string;
  private readonly hash: string;
  private readonly password: string;
  private readonly gs2: string;
  private readonly bare: string;
  private expected = "";

  constructor(name: ScramName, user: string, password: string, options: ScramOptions = {}) {
    this.hash = name === "SCRAM-SHA-256" ? "sha256" : "sha512";
    this.password = password;
    this.gs2 = options.gs2 ?? "n,,";
    const escaped = user.replaceAll("=", "=3D").replaceAll(",", "=2C");
    this.bare = `n=${escaped},r=${options.nonce ?? randomBytes(12).toString("base64")}`;
    this.first = this.gs2 + this.bare;
  }

  /** client-final for the server's first message. */
  final(serverFirst: string): string {
    const fields = new Map(serverFirst.split(",").map((part) => [part[0] ?? "", part.slice(2)]));
    const salt = Buffer.from(fields.get("s") ?? "", "base64");
    const iterations = Number(fields.get("i"));
    const length = this.hash === "sha256" ? 32 : 64;
    const salted = pbkdf2Sync(this.password, salt, iterations, length, this.hash);
    const without = `c=${Buffer.from(this.gs2).toString("base64")},r=${fields.get("r")}`;
    const said = `${this.bare},${serverFirst},${without}`;
    const clientKey = this.hmac(salted, "Client Key");
    const storedKey = createHash(this.hash).update(clientKey).digest();
    const signature = this.hmac(storedKey, said);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
    this.expected = `v=${this.hmac(this.hmac(salted, "Server Key"), said).toString("base64")}`;
    return `${without},p=${proof.toString("base64")}`;
  }

  /** Whether the server has proved that it knows the credential. */
  accepts(serverFinal: string): boolean {
    return this.expected !== "" && serverFinal === this.expected;
  }

  private hmac(key: Uint8Array, text: string): Buffer {
    return createHmac(this.hash, key).update(text).digest();
  }
}
