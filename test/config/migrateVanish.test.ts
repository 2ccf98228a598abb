// No line of an old file vanishes in silence: each option that mosquitto has, and each key that any rumqttd had, with
// any value and wherever it stands, is turned into something, or told of in a comment or a warning.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { migrate, type OriginName } from "../../src/config/migrate/migrate.ts";
import { ConfigError } from "../../src/config/problems.ts";
import { MOSQUITTO_RULES } from "../../src/config/migrate/mosquitto/rules.ts";
import {
  BRIDGE_CONNECTION_RULES,
  BRIDGE_RULES,
  GONE_SECTIONS,
  LISTENER_RULES,
  ROUTER_RULES,
} from "../../src/config/migrate/rumqttd/rules.ts";

const MAN_PAGE = "/usr/share/man/man5/mosquitto.conf.5.gz";

/** mosquitto.conf(5) of 2.0, and what 1.x had beside it. */
const OPTIONS = `
  acl_file address addresses allow_anonymous allow_duplicate_messages allow_zero_length_clientid auth_opt_host
  auth_plugin auth_plugin_deny_special_chars auto_id_prefix autosave_interval autosave_on_changes bind_address
  bind_interface bridge_alpn bridge_attempt_unsubscribe bridge_bind_address bridge_cafile bridge_capath
  bridge_certfile bridge_identity bridge_insecure bridge_keyfile bridge_max_packet_size bridge_outgoing_retain
  bridge_protocol_version bridge_psk bridge_require_ocsp bridge_tls_version cafile capath certfile
  check_retain_source ciphers ciphers_tls1.3 cleansession clientid clientid_prefixes connection
  connection_messages crlfile dhparamfile http_dir idle_timeout include_dir keepalive_interval keyfile listener
  local_cleansession local_clientid local_password local_username log_dest log_facility log_timestamp
  log_timestamp_format log_type max_connections max_inflight_bytes max_inflight_messages max_keepalive
  max_packet_size max_qos max_queued_bytes max_queued_messages max_topic_alias memory_limit message_size_limit
  mount_point notification_topic notifications notifications_local_only password password_file
  per_listener_settings persistence persistence_file persistence_location persistent_client_expiration pid_file
  plugin plugin_opt_file port protocol psk_file psk_hint queue_qos0_messages remote_clientid remote_password
  remote_username require_certificate restart_timeout retain_available retry_interval round_robin
  set_tcp_nodelay socket_domain start_type store_clean_interval sys_interval threshold tls_engine
  tls_engine_kpass_sha1 tls_keyform tls_version topic try_private upgrade_outgoing_qos use_identity_as_username
  use_subject_as_username use_username_as_clientid user username websockets_headers_size websockets_log_level
`
  .trim()
  .split(/\s+/);

const VALUES = ["true", "false", "0", "-1", "word", "", "websockets", "tlsv1.2", "1884"];
const OPEN = "listener 18830 127.0.0.1\nallow_anonymous true\n";

/** Where a line may stand. */
const PLACES: Readonly<Record<string, (line: string) => string>> = {
  "in a listener": (line) => `${OPEN}${line}\n`,
  "in a listener with TLS": (line) => `${OPEN}certfile a.pem\nkeyfile a.key\n${line}\n`,
  "before the listener": (line) => `${line}\n${OPEN}`,
  "in a second listener": (line) => `${OPEN}listener 18831\n${line}\n`,
  "with settings for each listener": (line) => `per_listener_settings true\n${OPEN}${line}\n`,
  "without a listener": (line) => `allow_anonymous true\n${line}\n`,
  "in a bridge": (line) => `${OPEN}connection far\naddress far.test\n${line}\n`,
  "in a listener that is left out": (line) => `${OPEN}listener 18831\npsk_hint x\n${line}\n`,
};

function linesOf(text: string, from: OriginName): string[] {
  const result = migrate({ text, file: "old" }, from, "new");
  return [...result.text.split("\n"), ...result.warnings];
}

/** Of the files without the line that is tried. */
const linesWithout = new Map<string, ReadonlySet<string>>();

/** What the new file and the warnings say that they do not say without `line`. */
function said(text: string, without: string, from: OriginName): string {
  const key = `${from}\n${without}`;
  const before = linesWithout.get(key) ?? new Set(linesOf(without, from));
  linesWithout.set(key, before);
  return linesOf(text, from)
    .filter((line) => !before.has(line))
    .join("\n");
}

function names(text: string, name: string): boolean {
  return new RegExp(`(?<!\\w)${name.replaceAll(".", "\\.")}(?![\\w])`).test(text);
}

describe("mosquitto.conf", () => {
  for (const name of new Set([...OPTIONS, ...Object.keys(MOSQUITTO_RULES)])) {
    test(name, () => {
      const silent: string[] = [];
      for (const [place, fileWith] of Object.entries(PLACES))
        for (const value of VALUES) {
          if (name === "psk_hint" && place.includes("left out")) continue; // it is what leaves it out
          const line = `${name} ${value}`.trimEnd();
          const text = said(fileWith(line), fileWith(""), "mosquitto");
          if (!names(text, name)) silent.push(`${line} ${place}`);
        }
      expect(silent).toEqual([]);
    });
  }

  test.skipIf(!existsSync(MAN_PAGE))("the list is that of the manual that is installed here", async () => {
    const page = await new Response(Bun.spawn(["zcat", MAN_PAGE]).stdout).text();
    const options = page.slice(page.indexOf('.SH "GENERAL OPTIONS"'));
    const found = [...options.matchAll(/^\\fB([a-z0-9_.]+)\\fR(?: \\fI|(?: \[| \\f|$))/gm)].map(
      ([, name]) => name!,
    );
    const known = [...OPTIONS, ...Object.keys(MOSQUITTO_RULES), ...NO_OPTIONS];
    expect(found.length).toBeGreaterThan(80);
    expect(found.filter((name) => !known.includes(name))).toEqual([]);
  });

  test("options of a bridge before any connection are told, without what they say", () => {
    const lines = ["bridge_cafile /etc/ca.pem", "remote_password hush", "topic plant/# out"];
    const { text, warnings, problems } = migrate(
      { text: `${OPEN}${lines.join("\n")}\n`, file: "m.conf" },
      "mosquitto",
      "new",
    );
    const why = "it stands before the first connection, and belongs to no bridge";
    expect(problems).toEqual([]);
    expect(warnings.filter((warning) => warning.includes("bridge"))).toEqual([
      `m.conf:3: bridge_cafile: ${why}`,
      `m.conf:4: remote_password: ${why}`,
      `m.conf:5: topic: ${why}`,
    ]);
    expect(text).toContain(`# gone: bridge_cafile: ${why}\n`);
    expect(text + warnings.join()).not.toContain("hush");
  });

  test("port and bind_address open the default listener wherever they stand, as in mosquitto", () => {
    const text = `${OPEN}port 18840\nbind_address 127.0.0.1\n`;
    const result = migrate({ text, file: "m.conf" }, "mosquitto", "new");
    expect(result.text).toContain(
      'listen = "127.0.0.1:18840"  # was the default listener: port 18840, bind_address 127.0.0.1',
    );
    expect(result.text).toContain('listen = "127.0.0.1:18830"  # was listener 18830 127.0.0.1');
  });

  test("an include_dir is told of, empty ones too", () => {
    const { text, warnings } = migrate({ text: `${OPEN}include_dir\n`, file: "m.conf" }, "mosquitto", "new");
    expect(warnings).toContain("m.conf:3: include_dir names no folder");
    expect(text).not.toContain("was include_dir");
  });
});

/** Words that the manual sets as it sets options, and that are none. */
const NO_OPTIONS =
  "stdout stderr syslog dlt file mosquitto mosquitto_passwd mqtt websockets ipv4 ipv6 value".split(" ");

describe("rumqttd's files", () => {
  /** Files of every generation; the line stands in the place of LINE. */
  const FILES: Readonly<Record<string, string>> = {
    "G0, the top": "LINE\n[[broker.servers]]\nport = 1\n",
    "G0, [broker]": "[broker]\nLINE\n[[broker.servers]]\nport = 1\n",
    "G0, [broker.router]": "[broker.router]\nLINE\n[[broker.servers]]\nport = 1\n",
    "G0, [[broker.servers]]": "[[broker.servers]]\nid = 1\nLINE\n",
    "G0, [[servers]]": "[[servers]]\nport = 1\nLINE\n",
    "G1, [servers.1]": "[servers.1]\nport = 1\nLINE\n",
    "G1, [servers.1.connections]": "[servers.1]\nport = 1\n[servers.1.connections]\nLINE\n",
    "G2, [servers.1]": '[servers.1]\nlisten = "127.0.0.1:1"\nLINE\n',
    "G2, [servers.1.cert]": '[servers.1]\nlisten = "127.0.0.1:1"\n[servers.1.cert]\nLINE\n',
    "G2, login_credentials":
      '[servers.1]\nlisten = "127.0.0.1:1"\n[[servers.1.connections.login_credentials]]\n' +
      'username = "u"\npassword = "p"\nLINE\n',
    "G2, [cluster]": '[servers.1]\nlisten = "127.0.0.1:1"\n[cluster]\nLINE\n[cluster.0]\naddress = "a:1"\n',
    "G2, [cluster.1]":
      '[servers.1]\nlisten = "127.0.0.1:1"\n[cluster.0]\naddress = "a:1"\n[cluster.1]\nLINE\n',
    "G2, [replicator]": '[servers.1]\nlisten = "127.0.0.1:1"\n[replicator]\nLINE\n',
    "G3, [router]": '[router]\ninstant_ack = true\nLINE\n[v4.1]\nlisten = "127.0.0.1:1"\n',
    "G3, [prometheus]": '[v4.1]\nlisten = "127.0.0.1:1"\n[prometheus]\nport = 2\nLINE\n',
    "G3, [bridge]": '[v4.1]\nlisten = "127.0.0.1:1"\n[bridge]\nurl = "far"\nLINE\n',
    "G4, the top": 'LINE\n[v4.1]\nlisten = "127.0.0.1:1"\n',
    "G4, [router]": '[router]\nLINE\n[v4.1]\nlisten = "127.0.0.1:1"\n',
    "G4, custom_segment": "[v4.1]\nlisten = \"127.0.0.1:1\"\n[router.custom_segment.'a/#']\nLINE\n",
    "G4, [v4.1]": '[v4.1]\nlisten = "127.0.0.1:1"\nLINE\n',
    "G4, [v4.1.connections]": '[v4.1]\nlisten = "127.0.0.1:1"\n[v4.1.connections]\nLINE\n',
    "G4, [v5.1.tls]": '[v5.1]\nlisten = "127.0.0.1:1"\n[v5.1.tls]\nLINE\n',
    "G4, [ws.1]": '[ws.1]\nlisten = "127.0.0.1:1"\nLINE\n',
    "G4, [bridge]": '[v4.1]\nlisten = "127.0.0.1:1"\n[bridge]\nLINE\n',
    "G4, [bridge.connections]": '[v4.1]\nlisten = "127.0.0.1:1"\n[bridge.connections]\nLINE\n',
    "G4, [bridge.transport]": '[v4.1]\nlisten = "127.0.0.1:1"\n[bridge.transport]\nLINE\n',
    "G4, [bridge.transport.tls]": '[v4.1]\nlisten = "127.0.0.1:1"\n[bridge.transport.tls]\nLINE\n',
    "G4, client_auth": '[v4.1]\nlisten = "127.0.0.1:1"\n[bridge.transport.tls.client_auth]\nLINE\n',
    "G4, [console]": '[v4.1]\nlisten = "127.0.0.1:1"\n[console]\nLINE\n',
    "G4, [metrics]": '[v4.1]\nlisten = "127.0.0.1:1"\n[metrics]\nLINE\n',
    "G4, [metrics.alerts]": '[v4.1]\nlisten = "127.0.0.1:1"\n[metrics.alerts]\nLINE\n',
    "G4, [cluster]": '[v4.1]\nlisten = "127.0.0.1:1"\n[cluster]\nLINE\n',
  };
  const KEYS = new Set([
    ...[LISTENER_RULES, ROUTER_RULES, BRIDGE_RULES, BRIDGE_CONNECTION_RULES, GONE_SECTIONS].flatMap(
      Object.keys,
    ),
    ..."id port max_connections ca_path capath login_credentials throttle_delay_ms username password".split(
      " ",
    ),
    ..."pkcs12_path pkcs12_pass pkcs12path pkcs12pass custom_segment url transport connections tls cert".split(
      " ",
    ),
    ..."client_auth certs key ca address host node_id seniors interval push_interval alerts meters".split(
      " ",
    ),
    ..."broker servers v4 v5 ws router console prometheus bridge cluster metrics no_such_key".split(" "),
  ]);
  const VALUES_OF_TOML = ["5", "true", '"word"', '""', "[1]", '{ inner = "word" }'];

  for (const [place, file] of Object.entries(FILES)) {
    test(place, () => {
      const silent: string[] = [];
      for (const key of KEYS)
        for (const value of VALUES_OF_TOML) {
          const line = `${key} = ${value}`;
          let text = "";
          try {
            text = said(file.replace("LINE", line), file.replace("LINE", ""), "rumqttd");
          } catch (error) {
            if (!(error instanceof ConfigError)) throw error;
            continue; // the key is in the file already, or it is none of rumqttd's with it
          }
          const isTold =
            names(text, key) ||
            (place === "G2, [cluster.1]" && (names(text, "seniors") || value === '""')) ||
            (value.includes("inner") && names(text, "inner"));
          if (!isTold) silent.push(line);
        }
      expect(silent).toEqual([]);
    });
  }
});
