// Where one of mosquitto's listeners stands, and how bytes come in: address, Unix socket, WebSocket, TLS.

import { keyAt } from "../../places.ts";
import type { Draft } from "../draft.ts";
import type { Option } from "./options.ts";
import { hasTls, type Listener, noTls } from "./listeners.ts";
import { booleanOf, wasText } from "./values.ts";

export function addTransport(draft: Draft, listener: Listener): void {
  const { path, source, was, options } = listener;
  const last = (name: string): Option | undefined => options.findLast((option) => option.name === name);
  const section = draft.section(path);
  const domain = last("socket_domain");
  const notes = domain === undefined ? was : `${was}, socket_domain ${domain.text}`;
  if (domain !== undefined) draft.tell(domain.source);
  section.set("listen", addressOf(listener, domain?.text), { source, was: notes });
  if (domain?.text === "ipv6" && listener.host === undefined) {
    draft.warn(
      domain.source,
      "socket_domain ipv6: [::] takes IPv4 clients too; name an IPv6 address if it must not",
    );
  }
  const protocol = last("protocol");
  if (protocol !== undefined && protocol.text !== "mqtt" && protocol.text !== "websockets") {
    section.gone(`protocol ${protocol.text}`, "listeners speak MQTT, over TCP or WebSocket", protocol);
  } else if (protocol !== undefined && protocol.text === "websockets") {
    section.note(`was ${protocol.name} ${protocol.text}, which [ws.N] says`);
    draft.tell(protocol.source);
  }
  const version = last("tls_version");
  const identity = last("use_identity_as_username");
  if (hasTls(listener)) {
    addTlsVersion(draft, listener, version);
    addIdentity(draft, listener, identity, last("require_certificate"));
  } else for (const option of [version, identity]) if (option !== undefined) noTls(section, option);
  const asClient = last("use_username_as_clientid");
  if (asClient !== undefined && booleanOf(asClient.text) === true) {
    const text = "the Client Identifier is not replaced: clients must give their user name as one";
    const connections = draft.section([...path, "connections"]);
    connections.set("client_id_of_user", "equal", { source: asClient.source, was: wasText(asClient) });
    draft.warn(asClient.source, `use_username_as_clientid: ${text}`);
  }
}

/** `host:port`, or `unix:/path`. */
function addressOf({ port, host, isLocalOnly }: Listener, domain: string | undefined): string {
  if (isLocalOnly) return `127.0.0.1:${port}`;
  if (port === 0n && host !== undefined) return `unix:${host}`;
  if (host !== undefined) return `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return domain === "ipv4" ? `0.0.0.0:${port}` : `[::]:${port}`;
}

/** `tlsv1.2`: the least version. */
function addTlsVersion(draft: Draft, { path }: Listener, option: Option | undefined): void {
  if (option === undefined) return;
  const tls = draft.section([...path, "tls"]);
  const version = /^tlsv(1\.[23])$/.exec(option.text)?.[1];
  if (version !== undefined && keyAt(tls.path, "min_version") !== undefined) {
    tls.set("min_version", version, { source: option.source, was: wasText(option) });
  } else tls.gone(wasText(option).slice(4), "TLS 1.2 is the least", option);
}

/** The CN as the user's name, which counted for required certificates alone. */
function addIdentity(
  draft: Draft,
  { path }: Listener,
  option: Option | undefined,
  required: Option | undefined,
): void {
  if (option === undefined) return;
  const tls = draft.section([...path, "tls"]);
  const isRequired = required !== undefined && booleanOf(required.text) === true;
  if (booleanOf(option.text) === true && isRequired) {
    tls.set("identity", "cn", { source: option.source, was: wasText(option) });
  } else tls.gone(option.name, "it counts with require_certificate true alone", { ...option, isIdle: true });
}
