// From the keys of a listener's section to its transport.

import { isAddressRange } from "../net/address.ts";
import { loadTlsKit, TlsFileError } from "../net/tlsKit.ts";
import type {
  CertificateIdentity,
  NamedCertificate,
  TlsSettings,
  TlsVersion,
  TransportSettings,
} from "../net/transport.ts";
import { isOrigin } from "../net/webSocketSettings.ts";
import { fileProblem } from "./filePlace.ts";
import type { Endpoint, ValuesOf } from "./key.ts";
import { keyText, valueText } from "./problems.ts";
import { type Document, problem, problemOfFile, readSection, tableAt, warning } from "./section.ts";
import { SNI_KEYS, type SOCKET_KEYS, TLS_KEYS } from "./transportKeys.ts";
import { isTable } from "./values.ts";
import type { WEB_SOCKET_KEYS } from "./wsKeys.ts";

type Table = Readonly<Record<string, unknown>>;
type Path = readonly string[];

/** What the listener's own section says. */
export type SocketValues = ValuesOf<typeof SOCKET_KEYS> & {
  readonly listen: Endpoint | null;
  /** Null where the section has no WebSocket. */
  readonly webSocket: ValuesOf<typeof WEB_SOCKET_KEYS> | null;
  readonly sniff: boolean;
};

/** Certificates for other names that one listener may have. */
const NAMES_MAX = 256;

/** `table` is the listener's section, at `path`. */
export function readTransport(
  document: Document,
  path: Path,
  table: Table,
  values: SocketValues,
): TransportSettings {
  const { listen, webSocket } = values;
  const mode = readMode(document, path, values.mode);
  return {
    unix: listen?.unix == null ? null : { path: listen.unix, mode },
    tls: table["tls"] === undefined ? null : readTls(document, [...path, "tls"], table["tls"]),
    webSocket: webSocket === null ? null : readWebSocket(document, path, webSocket),
    isSniffing: values.sniff,
    trustedProxies: readProxies(document, path, values),
    connectionsPerAddress: values.max_connections_per_address,
    ratePerAddress: values.connection_rate_per_address,
  };
}

function readMode(document: Document, path: Path, text: string): number {
  if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8);
  wrong(document, [...path, "mode"], text, 'three octal digits, such as "0660"');
  return 0;
}

function readWebSocket(document: Document, path: Path, values: ValuesOf<typeof WEB_SOCKET_KEYS>) {
  if (values.path !== "*" && !values.path.startsWith("/"))
    wrong(document, [...path, "path"], values.path, 'a path such as "/mqtt", or "*"');
  const at = [...path, "origins"];
  values.origins.forEach((origin, index) => {
    if (isOrigin(origin)) return;
    const allowed = 'an origin as browsers write it, such as "https://example.org", or "*"';
    problem(document, [...at, index], `${keyText(at)}: ${valueText(origin)} must be ${allowed}`);
  });
  return { path: values.path, origins: values.origins, compression: values.compression };
}

function readProxies(document: Document, path: Path, values: SocketValues): readonly string[] | null {
  const { proxy_protocol: isExpected, trusted_proxies: proxies, listen } = values;
  const at = [...path, "trusted_proxies"];
  proxies.forEach((proxy, index) => {
    if (isAddressRange(proxy)) return;
    const text = `${keyText(at)}: ${valueText(proxy)} must be an address or a range, such as "10.0.0.0/8"`;
    problem(document, [...at, index], text);
  });
  if (!isExpected) {
    if (proxies.length > 0)
      warning(document, at, `${keyText(at)} has no effect without proxy_protocol = true`);
    return null;
  }
  if (proxies.length === 0 && listen?.unix == null) {
    const where = [...path, "proxy_protocol"];
    problem(
      document,
      where,
      `${keyText(where)} = true: needs trusted_proxies, or anybody could say who he is`,
    );
  }
  return document.problems.length === 0 ? proxies : [];
}

// ---- TLS

function readTls(document: Document, path: Path, raw: unknown): TlsSettings | null {
  const table = tableAt(document, path, raw);
  if (table === undefined) return null;
  const before = document.problems.length;
  const values = readSection(document, path, table, TLS_KEYS, ["sni"]);
  const verify = values.verify_client_cert;
  const clientCertificate = verify === false ? "none" : verify === true ? "required" : "optional";
  const settings: TlsSettings = {
    certificatePath: values.certpath ?? "",
    keyPath: values.keypath ?? "",
    names: readNames(document, [...path, "sni"], table["sni"]),
    clientCertificate,
    authoritiesPath: values.capath,
    revokedPath: values.crlpath,
    versionMin: values.min_version as TlsVersion,
    identity: values.identity as CertificateIdentity,
    isTenantRuled: values.tenant,
  };
  checkVerification(document, path, settings);
  if (document.problems.length === before) checkFiles(document, path, settings);
  return settings;
}

function checkVerification(document: Document, path: Path, settings: TlsSettings): void {
  const isAsked = settings.clientCertificate !== "none";
  if (isAsked && settings.authoritiesPath === null)
    problem(document, path, `${keyText([...path, "verify_client_cert"])}: needs capath, who signs them`);
  if (isAsked) return;
  const ignored = { capath: settings.authoritiesPath !== null, crlpath: settings.revokedPath !== null };
  for (const [key, isGiven] of Object.entries(ignored)) {
    const at = [...path, key];
    const text = "has no effect: client certificates are not asked for; see verify_client_cert";
    if (isGiven) warning(document, at, `${keyText(at)} ${text}`);
  }
  if (settings.isTenantRuled) {
    const at = [...path, "tenant"];
    problem(
      document,
      at,
      `${keyText(at)} = true: needs verify_client_cert, for the tenant stands in a certificate`,
    );
  }
}

function readNames(document: Document, path: Path, raw: unknown): NamedCertificate[] {
  if (raw === undefined) return [];
  if (!Array.isArray(raw) || !raw.every(isTable) || raw.length > NAMES_MAX) {
    problem(document, path, `${keyText(path)}: must be at most ${NAMES_MAX} sections, [[${path.join(".")}]]`);
    return [];
  }
  const names: NamedCertificate[] = [];
  raw.forEach((table, index) => {
    const at = [...path, index];
    const values = readSection(document, at, table, SNI_KEYS);
    const name = (values.host ?? "").toLowerCase();
    const where = [...at, "host"];
    if (values.host !== null && !/^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(name))
      wrong(document, where, values.host, 'a host name, such as "mqtt.example.org" or "*.example.org"');
    if (names.some((earlier) => earlier.name === name))
      problem(
        document,
        where,
        `${keyText(where)} = ${valueText(name)}: there is a certificate for it already`,
      );
    names.push({ name, certificatePath: values.certpath ?? "", keyPath: values.keypath ?? "" });
  });
  return names;
}

/** What would stop the listener, or should be looked at, told with its line. */
function checkFiles(document: Document, path: Path, settings: TlsSettings): void {
  try {
    const kit = loadTlsKit(settings, Date.now());
    for (const text of kit.warnings) warning(document, path, `${keyText(path)}: ${text}`);
  } catch (error) {
    if (!(error instanceof TlsFileError)) throw error;
    const section = error.index < 0 ? path : [...path, "sni", error.index];
    const at = [...section, error.key];
    problemOfFile(document, at, fileProblem(undefined, at, error.path, error.reason));
  }
}

function wrong(document: Document, path: readonly (string | number)[], value: string, allowed: string): void {
  problem(document, path, `${keyText(path)} = ${valueText(value)}: must be ${allowed}`);
}
