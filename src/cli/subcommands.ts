// The one table of subcommands. A new one is a row here and a module that exports `register`.

import type { Subcommand } from "./subcommand.ts";

export const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: "pub",
    group: "Clients",
    summary: "publish messages, as mosquitto_pub does",
    load: () => import("./pub.ts"),
  },
  {
    name: "sub",
    group: "Clients",
    summary: "print messages as they come, as mosquitto_sub does",
    load: () => import("./sub.ts"),
  },
  {
    name: "bench",
    group: "Clients",
    summary: "put a broker under load and say how it did",
    load: () => import("./bench.ts"),
  },
  {
    name: "healthcheck",
    group: "Clients",
    summary: "say whether a broker accepts connections",
    load: () => import("./healthcheck.ts"),
  },
  {
    name: "check-config",
    group: "Configuration",
    summary: "check a configuration and print what is in force",
    load: () => import("./checkConfig.ts"),
  },
  {
    name: "generate-config",
    group: "Configuration",
    summary: "print a configuration to begin with",
    load: () => import("./generateConfig.ts"),
  },
  {
    name: "migrate-config",
    group: "Configuration",
    summary: "turn an older or another broker's configuration into one of today",
    load: () => import("./migrateConfig.ts"),
  },
  {
    name: "passwd",
    group: "Configuration",
    summary: "add, change and delete users of a password file",
    load: () => import("./passwd.ts"),
  },
  {
    name: "completions",
    group: "This program",
    summary: "print completions for bash, zsh or fish",
    load: () => import("./completions.ts"),
  },
  {
    name: "version",
    group: "This program",
    summary: "say the version, the commit, Bun's version and the platform",
    load: () => import("./version.ts"),
  },
];
