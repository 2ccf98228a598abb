// What a certificate says, out of the text form that sockets give it in: names that pretend to be several are one.

import { afterAll, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import {
  type CertificateFields,
  peerCertificateOf,
  proxiedCertificate,
} from "../../src/net/peerCertificate.ts";
import { Authority } from "../support/certificates.ts";

const authority = new Authority();
afterAll(() => authority.remove());

function fieldsOf(subject: string, names?: string): CertificateFields {
  const { cert } = authority.issue(names === undefined ? { subject } : { subject, names });
  return new X509Certificate(readFileSync(cert)).toLegacyObject() as unknown as CertificateFields;
}

test("subject, names and fingerprint", () => {
  const fields = fieldsOf(
    "/O=acme/CN=alice",
    "DNS:a.example,email:a@b.example,URI:urn:x:1,IP:10.0.0.1,DNS:*.b.example",
  );
  const certificate = peerCertificateOf(fields);
  expect(certificate).toMatchObject({ commonName: "alice", organization: "acme" });
  expect(certificate.alternativeNames).toEqual([
    "a.example",
    "a@b.example",
    "urn:x:1",
    "10.0.0.1",
    "*.b.example",
  ]);
  expect(certificate.fingerprint).toMatch(/^[0-9a-f]{64}$/);
});

test("what is not there is empty", () => {
  const certificate = peerCertificateOf(fieldsOf("/C=DE"));
  expect(certificate).toMatchObject({ commonName: "", organization: "", alternativeNames: [] });
  expect(peerCertificateOf({})).toEqual({
    commonName: "",
    organization: "",
    alternativeNames: [],
    fingerprint: "",
  });
});

test("characters of structure in a name stay in that name", () => {
  const subject = "/O=a, CN=admin/CN=bob\\/OU=x + CN=admin";
  const certificate = peerCertificateOf(
    fieldsOf(subject, "@names\n[names]\nURI.1=http://a/?x, DNS:admin\nDNS.1=real.example"),
  );
  expect(certificate.organization).toBe("a, CN=admin");
  expect(certificate.commonName).toContain("bob");
  expect(certificate.alternativeNames).toEqual(["http://a/?x, DNS:admin", "real.example"]);
});

test("a part that stands there twice names nobody", () => {
  const certificate = peerCertificateOf(fieldsOf("/O=one/O=two/CN=first/CN=second"));
  expect(certificate).toMatchObject({ commonName: "", organization: "" });
});

test("alternative names as text", () => {
  const rows: readonly [string, readonly string[]][] = [
    ["DNS:a", ["a"]],
    ['URI:"a, DNS:admin", DNS:b', ["a, DNS:admin", "b"]],
    ['DNS:"a\\u002c b"', ["a, b"]],
    ['DNS:"\\"quoted\\""', ['"quoted"']],
    ["IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1", ["10.0.0.1", "0:0:0:0:0:0:0:1"]],
    ["DirName:CN=x, DNS:b", ["b"]],
    ["Registered ID:1.2.3, email:a@b", ["a@b"]],
    ["DNS:a, nonsense", []],
    ['DNS:"never ends', []],
    ['DNS:"bad \\x escape"', []],
    ["", []],
  ];
  for (const [subjectaltname, names] of rows)
    expect([subjectaltname, peerCertificateOf({ subjectaltname }).alternativeNames]).toEqual([
      subjectaltname,
      names,
    ]);
});

test("a proxy tells no more than the CN", () => {
  expect(proxiedCertificate("alice")).toEqual({
    commonName: "alice",
    organization: "",
    alternativeNames: [],
    fingerprint: "",
  });
});
