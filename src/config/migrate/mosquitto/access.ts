// Who may connect and who may do what: mosquitto's password files, rules, anonymous clients and plugins.

import type { DraftSection } from "../draft.ts";
import type { MosquittoJob } from "./file.ts";
import type { Listener } from "./listeners.ts";
import type { Option } from "./options.ts";
import { PLUGIN_GONE } from "./rules.ts";
import { booleanOf, wasText } from "./values.ts";

const PLUGINS: ReadonlySet<string> = new Set([
  "auth_plugin",
  "plugin",
  "plugin_load",
  "plugin_use",
  "global_plugin",
]);

export function addAccess(job: MosquittoJob): void {
  const { draft, listeners, shared, broker } = job;
  addFile(job, "password_file", ["auth", "file"], "path");
  addFile(job, "acl_file", ["authorization"], "acl_file");
  const [acl] = filesNamed(job, "acl_file");
  if (acl !== undefined) {
    const was = "was so: a subscription wider than the rules brings what they let through";
    draft.section(["authorization"]).set("acl_file_subscriptions", "narrow", { source: acl.source, was });
  }
  for (const listener of listeners) addListener(job, listener);
  for (const option of [...shared, ...broker, ...listeners.flatMap(({ options }) => options)]) {
    if (PLUGINS.has(option.name)) draft.section([]).gone(wasText(option).slice(4), PLUGIN_GONE, option);
  }
}

/** The one file of its kind; with per_listener_settings there may have been several, or listeners without. */
function addFile(job: MosquittoJob, name: string, path: readonly string[], key: string): void {
  const { draft, listeners, perListener } = job;
  const [first, ...others] = filesNamed(job, name);
  if (first === undefined) return;
  draft.section(path).set(key, first.text, { source: first.source, was: wasText(first) });
  for (const other of others) {
    if (other.text === first.text) continue;
    const why = `there is one for all listeners, ${first.text} here; put both together`;
    draft.section(path).gone(wasText(other).slice(4), why, other);
  }
  if (name === "acl_file" && perListener && others.length + 1 < listeners.length) {
    draft.warn(first.source, "acl_file holds for all listeners here, for those that had none too");
  }
}

/** The last of each listener's, or of all listeners together. */
function filesNamed({ listeners, shared }: MosquittoJob, name: string): Option[] {
  const groups = [shared, ...listeners.map(({ options }) => options)];
  const found = groups.map((options) => options.findLast((option) => option.name === name));
  return found.filter((option) => option !== undefined && option.text !== "") as Option[];
}

/** Whom a listener asks, and whether it lets in who says no name. */
function addListener(job: MosquittoJob, listener: Listener): void {
  const { draft, shared, perListener } = job;
  const options = perListener ? listener.options : [...shared, ...listener.options];
  const last = (...names: string[]): Option | undefined =>
    options.findLast(({ name }) => names.includes(name));
  const connections = draft.section([...listener.path, "connections"]);
  const tls = draft.existing([...listener.path, "tls"]);
  const identity = tls?.get("identity") === undefined ? undefined : last("use_identity_as_username");
  const file = last("password_file");
  const anonymous = last("allow_anonymous", "listener_allow_anonymous");
  const isAllowed = listener.isLocalOnly || (anonymous !== undefined && booleanOf(anonymous.text) === true);
  if (identity !== undefined) {
    const was = `${wasText(identity)}: the certificate's name, whatever else there is`;
    connections.set("auth_chain", ["certificate"], { source: identity.source, was });
    connections.set("allow_anonymous", false, { source: identity.source, was: "was implied by it" });
    return;
  }
  const isVerified = tls?.get("verify_client_cert") === true;
  if (file !== undefined && isVerified) {
    const was = "was so: with a certificate, and by the password file";
    connections.set("auth_chain", ["file"], { source: file.source, was });
  } else if (file === undefined && (isVerified || filesNamed(job, "password_file").length > 0)) {
    const was = "was so: no password file for this listener";
    connections.set("auth_chain", [], { source: listener.source, was });
  }
  setAnonymous(connections, listener, anonymous, isAllowed);
  if (isAllowed || file !== undefined) return;
  const text = last("auth_plugin", "plugin") === undefined ? "as before" : "for its plugin is gone";
  draft.warn(
    listener.source,
    `nobody can connect to [${listener.path.join(".")}], ${text}: there are no users`,
  );
}

/** Without a word in the file nobody was let in without a name, but for mosquitto without a listener. */
function setAnonymous(
  connections: DraftSection,
  listener: Listener,
  option: Option | undefined,
  isAllowed: boolean,
): void {
  let was = "was so without allow_anonymous";
  if (option !== undefined) was = wasText(option);
  if (listener.isLocalOnly) was = "was so without a listener";
  const source = (listener.isLocalOnly ? undefined : option?.source) ?? listener.source;
  connections.set("allow_anonymous", isAllowed, { source, was });
}
