// Peer certificate: what a verified client certificate says, from the form that the socket gives it in.

import type { PeerCertificate } from "./access.ts";

/** The parts of node's form that are read here. */
export interface CertificateFields {
  readonly subject?: Readonly<Record<string, string | string[] | undefined>>;
  /** `DNS:one.example, URI:"with\u002c comma"`: what could be mistaken for structure is written as a JSON string. */
  readonly subjectaltname?: string | undefined;
  /** Hexadecimal pairs with colons. */
  readonly fingerprint256?: string;
}

export function peerCertificateOf(fields: CertificateFields): PeerCertificate {
  return {
    commonName: onlyOne(fields.subject?.["CN"]),
    organization: onlyOne(fields.subject?.["O"]),
    alternativeNames: alternativeNames(fields.subjectaltname ?? ""),
    fingerprint: (fields.fingerprint256 ?? "").replaceAll(":", "").toLowerCase(),
  };
}

/** All that a trusted proxy tells of the certificate that it has verified. */
export function proxiedCertificate(commonName: string): PeerCertificate {
  return { commonName, organization: "", alternativeNames: [], fingerprint: "" };
}

/** A part that is there twice names nobody: which of them was meant is not said. */
function onlyOne(part: string | string[] | undefined): string {
  return typeof part === "string" ? part : "";
}

const NAME = /\s*([A-Za-z][A-Za-z ]*):(?:("(?:[^"\\]|\\.)*")|([^,"]*))(?:,|$)/gy;
const KINDS = new Set(["DNS", "email", "URI", "IP Address"]);

/** The names of kinds that can name a client; [] when the text is not understood to its end. */
function alternativeNames(text: string): string[] {
  const names: string[] = [];
  let end = 0;
  for (const match of text.matchAll(NAME)) {
    const [all, kind = "", quoted, bare = ""] = match;
    end = match.index + all.length;
    if (!KINDS.has(kind)) continue;
    const name = quoted === undefined ? bare : unquote(quoted);
    if (name === null) return [];
    names.push(name);
  }
  return end === text.length ? names : [];
}

function unquote(quoted: string): string | null {
  try {
    const name: unknown = JSON.parse(quoted);
    return typeof name === "string" ? name : null;
  } catch {
    return null;
  }
}
