// Preloaded into the program in place of its broker, to show what is hard to bring about with a real one.
// STUB_BROKER says what happens: "" all is well, an error code, "fault", or "slow" (a stop that never ends).

import { plugin } from "bun";
import { Host } from "../../src/net/host.ts";
import { Router } from "../../src/router/router.ts";
import type { RouterSettings } from "../../src/router/settings.ts";

const what = process.env["STUB_BROKER"] ?? "";

function startBroker(settings: {
  router: RouterSettings;
  listeners: readonly { section: string; name: string; host: string; port: number }[];
}) {
  if (/^E[A-Z]+$/.test(what)) {
    const { host, port } = settings.listeners[0] ?? { host: "", port: 0 };
    return Promise.reject(Object.assign(new Error(what), { code: what, address: `${host}:${port}` }));
  }
  if (what === "refuse") return Promise.reject(new Error("out of luck"));
  const timer = setInterval(() => {
    if (what === "fault") throw new Error("a wheel came off");
  }, 20);
  const stop = () => {
    clearInterval(timer);
    return what === "slow" ? new Promise<void>((resolve) => setTimeout(resolve, 60_000)) : Promise.resolve();
  };
  const files = { watch: () => () => {} };
  return Promise.resolve({ listeners: settings.listeners, files, host: hostOf(settings.router), stop });
}

/** Nobody connects to it. */
function hostOf(settings: RouterSettings): Host {
  const clock = { nowMs: () => performance.now(), wallMs: () => Date.now() };
  const router = new Router(settings, { clock, scheduler: { soon() {}, later() {} }, seed: 1 });
  return new Host(
    router,
    { identified() {}, connected() {}, closed() {}, left() {}, pressed() {}, turnedAway() {} },
    "stub-",
  );
}

plugin({
  name: "stub broker",
  setup(build) {
    build.onResolve({ filter: /\/broker\.ts$/ }, () => ({ path: "broker", namespace: "stub" }));
    build.onLoad({ filter: /.*/, namespace: "stub" }, () => ({ exports: { startBroker }, loader: "object" }));
  },
});
