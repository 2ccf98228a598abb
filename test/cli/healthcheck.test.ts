// `millrace healthcheck`: of an address, of a configuration, and of the broker that runs beside it, as in a container.

import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokerOf } from "../../src/cli/commandLine.ts";
import { onlyBroker } from "../../src/cli/runningBroker.ts";
import { Authority } from "../support/certificates.ts";
import { PROGRAM_TIMEOUT_MS, ROOT, run, start } from "./program.ts";

setDefaultTimeout(PROGRAM_TIMEOUT_MS);

/** Several programs one after the other, on a machine that does other things too. */
setDefaultTimeout(20_000);

const folder = mkdtempSync(join(tmpdir(), "millrace-health-"));
const authority = new Authority();
afterAll(() => {
  rmSync(folder, { recursive: true });
  authority.remove();
});

/** A port that nobody listened on a moment ago. */
function freePort(): number {
  const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = taken;
  taken.stop(true);
  return port;
}

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

describe("of a configuration", () => {
  test("its first listener, by --config and by MILLRACE_CONFIG", async () => {
    const port = freePort();
    const config = write("plain.toml", `[v4.1]\nlisten = "127.0.0.1:${port}"\n`);
    const program = start([], { env: { MILLRACE_CONFIG: config } });
    await program.until("ready");
    expect(program.output()).toContain(`configuration: ${config} (as MILLRACE_CONFIG says)`);
    const checked = await Promise.all([
      run(["--config", config, "healthcheck"]),
      run(["healthcheck"], { env: { MILLRACE_CONFIG: config } }),
      run(["healthcheck", "-p", `${port}`], { env: { MILLRACE_CONFIG: "nowhere.toml" } }),
      run(["--config", config, "healthcheck"], { env: { MILLRACE_CONFIG: "nowhere.toml" } }),
    ]);
    for (const { status, stdout, stderr } of checked) {
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(new RegExp(`^healthy: .*:${port} accepts connections, in [\\d.]+ ms\n$`));
    }
    program.kill("SIGTERM");
    expect((await program.outcome).status).toBe(0);
    const { status, stderr } = await run(["--config", config, "healthcheck"]);
    expect([status, stderr.startsWith("unhealthy: ")]).toEqual([1, true]);
  });

  test("over TLS, though a file that it names has gone bad since", async () => {
    const port = freePort();
    const { cert, key } = authority.server();
    const tls = `[v4.1]\nlisten = "127.0.0.1:${port}"\n[v4.1.tls]\ncertpath = "${cert}"\nkeypath = "${key}"\n`;
    const config = write("tls.toml", tls);
    const program = start(["--config", config]);
    await program.until("ready");
    writeFileSync(key, "nonsense");
    const { status, stderr } = await run(["--config", config, "healthcheck"]);
    expect([status, stderr]).toEqual([0, ""]);
    program.kill("SIGTERM");
    await program.outcome;
  });
});

describe("what a broker's arguments make of it", () => {
  const environment = { MILLRACE_CONFIG: "of-environment.toml" };
  test.each([
    [[], undefined, {}],
    [[], "of-environment.toml", environment],
    [["--config", "a.toml"], "a.toml", environment],
    [["--config=a.toml", "-q"], "a.toml", {}],
    [["-vvc", "a.toml", "--log-format", "json"], "a.toml", {}],
  ])("%j: %s", (args, config, given) => {
    expect(brokerOf(args, given)).toMatchObject({ config });
  });

  test.each([
    [["healthcheck"]],
    [["--config", "a.toml", "healthcheck", "-p", "1884"]],
    [["pub", "-t", "a"]],
    [["--help"]],
    [["--version"]],
    [["--log-level", "loud"]],
  ])("%j: no broker", (args) => {
    expect(brokerOf(args, {})).toBeUndefined();
  });

  test("of several nobody knows which", () => {
    expect(onlyBroker([])).toBeUndefined();
    expect(onlyBroker(["a"])).toBe("a");
    expect(() => onlyBroker(["a", "b"])).toThrow("2 brokers run here: name one with --config");
  });
});

/** As in a container: a process namespace of its own, in which the broker is process 1. */
const SPACE = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"];
const hasSpaces = existsSync("/proc/self/ns/pid") && Bun.spawnSync([...SPACE, "true"]).success;

describe.skipIf(!hasSpaces)("of the broker in the same container", () => {
  const rows: readonly (readonly [name: string, args: readonly string[], env: Record<string, string>])[] = [
    ["--config in the folder", ["--config", "mine.toml"], {}],
    ["-c found in config/", ["-qc", "other.toml"], {}],
    ["MILLRACE_CONFIG", [], { MILLRACE_CONFIG: "mine.toml" }],
  ];
  for (const [name, args, env] of rows) {
    test(name, async () => {
      const port = freePort();
      const home = join(folder, `home-${port}`);
      mkdirSync(join(home, "config"), { recursive: true });
      const text = `[v4.1]\nlisten = "127.0.0.1:1"\n[v5.1]\nlisten = "127.0.0.1:0"\n`;
      for (const file of ["mine.toml", "config/other.toml"]) writeFileSync(join(home, file), text);
      // The first listener's port comes from the environment, which the check must know too.
      const environment = {
        ...env,
        MILLRACE__V4__1__LISTEN: `127.0.0.1:${port}`,
        PATH: process.env["PATH"] ?? "",
      };
      const main = join(ROOT, "src/main.ts");
      const script = join(home, "container.sh");
      // Once the broker answers there, the check runs as a container's does: without an argument, from elsewhere.
      writeFileSync(
        script,
        `( until ${process.execPath} ${main} healthcheck -p ${port} --quiet; do :; done\n` +
          `  cd / && env -u MILLRACE_CONFIG -u MILLRACE__V4__1__LISTEN ${process.execPath} ${main} healthcheck\n` +
          `  echo "status $?"; kill 1 ) &\n` +
          `exec ${process.execPath} ${main} ${args.join(" ")}\n`,
      );
      chmodSync(script, 0o755);
      const child = Bun.spawn([...SPACE, "sh", script], {
        cwd: home,
        env: environment,
        stdout: "pipe",
        stderr: "pipe",
        timeout: 20_000,
      });
      const output = await new Response(child.stdout).text();
      expect(output).toContain(`:${port} accepts connections`);
      expect(output).toContain("status 0");
    });
  }
});
