// Certificates made by openssl for one test file, in a folder of its own: an authority, a server, clients, a CRL.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Subject {
  /** As openssl takes it: "/O=acme/CN=alice". */
  readonly subject: string;
  /** As openssl takes it: "DNS:a.test,URI:urn:a". */
  readonly names?: string;
  /** From now; negative is over. */
  readonly days?: number;
}

export class Authority {
  readonly folder: string;
  readonly cert: string;
  private readonly key: string;
  private serial = 0;

  constructor(name = "Test CA") {
    this.folder = mkdtempSync(join(tmpdir(), "millrace-tls-"));
    this.key = this.path("ca.key");
    this.cert = this.path("ca.pem");
    this.newKey(this.key);
    openssl(
      "req",
      "-x509",
      "-new",
      "-key",
      this.key,
      "-days",
      "30",
      "-subj",
      `/CN=${name}`,
      "-out",
      this.cert,
    );
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** A certificate that this authority has signed, with its key. */
  issue({ subject, names, days = 30 }: Subject, name = `leaf${++this.serial}`): Pair {
    const [cert, key, request] = [
      this.path(`${name}.pem`),
      this.path(`${name}.key`),
      this.path(`${name}.csr`),
    ];
    this.newKey(key);
    openssl("req", "-new", "-utf8", "-key", key, "-subj", subject, "-out", request);
    const extensions = this.path(`${name}.ext`);
    writeFileSync(extensions, names === undefined ? "" : `subjectAltName=${names}\n`);
    const serial = `0x${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
    openssl(
      ...["x509", "-req", "-in", request, "-CA", this.cert, "-CAkey", this.key, "-set_serial", serial],
      ...["-days", `${days}`, "-extfile", extensions, "-out", cert],
    );
    return { cert, key };
  }

  server(name = "localhost", file?: string): Pair {
    return this.issue({ subject: `/CN=${name}`, names: `DNS:${name},IP:127.0.0.1,IP:::1` }, file);
  }

  /** A CRL of these certificates. */
  revoke(pairs: readonly Pair[], name = "crl.pem"): string {
    const [config, index, number] = [this.path("ca.cnf"), this.path("index.txt"), this.path("crlnumber")];
    writeFileSync(index, "");
    writeFileSync(number, "01\n");
    const lines = ["[ca]", "default_ca=d", "[d]", `database=${index}`, `crlnumber=${number}`];
    writeFileSync(config, `${[...lines, "default_md=sha256", "default_crl_days=30"].join("\n")}\n`);
    const common = ["ca", "-config", config, "-keyfile", this.key, "-cert", this.cert];
    for (const { cert } of pairs) openssl(...common, "-revoke", cert);
    openssl(...common, "-gencrl", "-out", this.path(name));
    return this.path(name);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  private newKey(path: string): void {
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path);
  }
}

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr}`);
}
