// Secret: random bytes that this process alone knows. Under it passwords and names become digests, which say nothing
// to whoever reads them and are all of one length, so that they compare in constant time.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const SECRET_BYTES = 32;

export class Secret {
  private readonly key: Uint8Array;

  /** `key` makes tests repeatable. */
  constructor(key: Uint8Array = randomBytes(SECRET_BYTES)) {
    this.key = key;
  }

  /** HMAC-SHA-256 of the parts and their lengths: no two lists of parts have one digest. */
  digest(...parts: readonly (string | Uint8Array)[]): Buffer {
    const hmac = createHmac("sha256", this.key);
    const length = Buffer.alloc(4);
    for (const part of parts) {
      const bytes = typeof part === "string" ? Buffer.from(part) : part;
      length.writeUInt32BE(bytes.length);
      hmac.update(length);
      hmac.update(bytes);
    }
    return hmac.digest();
  }

  /** The digest as a key of maps. */
  text(...parts: readonly (string | Uint8Array)[]): string {
    return this.digest(...parts).toString("base64");
  }

  /** A number from 0 to `count` - 1 that belongs to `parts` as long as the process runs. */
  choice(count: number, ...parts: readonly (string | Uint8Array)[]): number {
    return this.digest(...parts).readUInt32BE(0) % count;
  }

  /** Whether two byte strings of any lengths are equal, in time that depends on their lengths alone. */
  same(a: Uint8Array, b: Uint8Array): boolean {
    return timingSafeEqual(this.digest(a), this.digest(b));
  }
}
