// Authorities: certificates of CAs in a file, which a server that is asked over https is checked against in place of
// those that the system trusts.

import { X509Certificate } from "node:crypto";
import type { AuthFile } from "./create.ts";
import { FileError } from "./passwordFile.ts";

const FILE_BYTES_MAX = 4 * 1024 * 1024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export class Authorities {
  /** None, or the one. */
  readonly files: readonly AuthFile[];
  /** PEM; undefined stands for the system's. */
  pem: string | undefined;

  /** `path` is null for the system's; `section` is whose ca_file it is. */
  constructor(path: string | null, section: "jwt" | "http") {
    const what = `the ca_file of [auth.${section}]`;
    const advice = "put the certificate of the server's authority there, in PEM";
    const key = ["auth", section, "ca_file"];
    const load = async (text: string): Promise<void> => {
      this.pem = authoritiesOf(text, path ?? "");
    };
    this.files = path === null ? [] : [{ path, key, what, advice, load }];
  }
}

/** The certificates of the text, each of them checked. Throws FileError. */
function authoritiesOf(text: string, file: string): string {
  if (text.length > FILE_BYTES_MAX) throw new FileError([`${file}: larger than ${FILE_BYTES_MAX} bytes`]);
  const blocks = text.match(CERTIFICATE);
  if (blocks === null) throw new FileError([`${file}: it holds no certificate in PEM`]);
  blocks.forEach((block, index) => {
    try {
      new X509Certificate(block);
    } catch {
      throw new FileError([`${file}: its certificate ${index + 1} of ${blocks.length} is broken`]);
    }
  });
  return blocks.join("\n");
}
