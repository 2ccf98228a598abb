// The dashboard in headless Chromium, over a broker with clients. Without a Chromium on this machine it is skipped.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import mqtt from "mqtt";
import { startConsole } from "../../src/console/server.ts";
import { startTestBroker, type TestBroker } from "../support/broker.ts";
import { Browser, CHROMIUM } from "../support/browser.ts";
import type { WireClient } from "../support/wireClient.ts";
import { deviceOf, FakeOperations, NOBODY } from "./support.ts";

const TIMEOUT_MS = 60_000;
const text = (selector: string): string =>
  `(document.querySelector(${JSON.stringify(selector)})?.innerText ?? "")`;

/** Of two colours written rgb(r, g, b), as WCAG has it: 1..21. */
function contrastOf(one: string, other: string): number {
  const [dark = 0, light = 0] = [one, other].map(luminanceOf).toSorted((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminanceOf(color: string): number {
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map((part) => {
    const value = Number(part) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

describe.skipIf(CHROMIUM === undefined)("the dashboard", () => {
  let one: TestBroker;
  let device: WireClient;
  const operations = new FakeOperations();
  const open: { stop(): Promise<void> }[] = [];

  beforeAll(async () => {
    one = await startTestBroker();
    device = await deviceOf(one, "<b>dev</b>", 10);
    await device.subscribe("plant/#", { qos: 1 });
    for (let i = 0; i < 30; i++) {
      one.broker.router.publish("plant/1", Buffer.from("x"), { qos: 1, retain: true });
    }
  });
  afterAll(async () => {
    device.cut();
    for (const each of open) await each.stop();
    await one.stop();
  });

  function start(users = NOBODY): string {
    const console = startConsole({ host: "127.0.0.1", port: 0, users }, one.broker.host, operations);
    open.push(console);
    return `http://127.0.0.1:${console.port}/`;
  }

  test(
    "each view shows what the broker does, with nothing from elsewhere",
    async () => {
      const browser = await Browser.open(start(), 1280, 900);
      await browser.until(
        `${text("#status")} === "connected" && document.querySelectorAll("canvas").length === 5`,
      );
      expect(await browser.evaluate<string>(text("#lag tbody"))).toContain("<b>dev</b>");
      expect(
        await browser.evaluate<number>('document.querySelectorAll("#memory tbody tr").length'),
      ).toBeGreaterThan(5);

      await browser.evaluate('location.hash = "#clients"');
      await browser.until(`${text("#client-rows tbody")}.includes("<b>dev</b>")`);
      await browser.evaluate(`{
        const input = document.querySelector("[data-view=clients] input");
        input.value = "nobody";
        input.dispatchEvent(new Event("input"));
      }`);
      await browser.until(`${text("#client-rows tbody")}.includes("None contains nobody")`);

      await browser.evaluate('location.hash = "#client=" + encodeURIComponent("<b>dev</b>")');
      await browser.until(`${text("#cursor-text")}.includes("20 Offsets behind")`);
      expect(await browser.evaluate<string>(text("#client-facts"))).toContain("10 of 10");

      await browser.evaluate('location.hash = "#subscriptions"');
      await browser.until(`${text("#subscription-rows tbody")}.includes("plant/#")`);

      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${one.port}`);
      await client.subscribeAsync("from/page");
      const came = new Promise<string>((resolve) =>
        client.on("message", (_, payload) => resolve(payload.toString())),
      );
      await browser.evaluate('location.hash = "#publish"');
      await browser.evaluate(`{
        const form = document.querySelector("#publish-form");
        form.topic.value = "from/page";
        form.payload.value = "hello";
        form.requestSubmit();
      }`);
      expect(await came).toBe("hello");
      await browser.until(`${text("#publish-form .note")}.startsWith("Published to from/page")`);

      await browser.evaluate('location.hash = "#topics"');
      await browser.until(`${text("#topics-note")} === "0 topics"`);
      await client.publishAsync("hall/a/1", "x", { qos: 1 });
      await browser.until(`${text("#topic-tree")}.includes("hall")`);
      await browser.evaluate('document.querySelector("#topic-tree [tabindex=\\"0\\"]").focus()');
      await browser.key("ArrowRight");
      await browser.until('document.querySelector("#topic-tree [aria-expanded=true]") !== null');
      await browser.key("ArrowDown");
      await browser.until('document.activeElement?.dataset.path === "hall/a"');
      await client.endAsync();

      await browser.evaluate('location.hash = "#log"');
      await browser.until('document.querySelector("#log-filter input").value === "info"');
      const deadline = performance.now() + TIMEOUT_MS;
      while (operations.followers.size === 0 && performance.now() < deadline)
        await new Promise((next) => setImmediate(next));
      const line = { level: "warn", time: 0, msg: "<i>a line</i>", client_id: "x" };
      for (const follow of operations.followers) follow(JSON.stringify(line));
      await browser.until(`${text("#log-lines")}.includes("<i>a line</i>")`);

      const hosts = `[...new Set(performance.getEntriesByType("resource").map(({ name }) => new URL(name).host))]`;
      expect(await browser.evaluate<string[]>(hosts)).toHaveLength(1);
      expect(browser.problems).toEqual([]);
      await browser.close();
    },
    TIMEOUT_MS,
  );

  test(
    "fits a phone, and asks for the token",
    async () => {
      const browser = await Browser.open(start({ token: "s3cret", user: null }), 360, 740);
      await browser.until('!document.querySelector("#sign-in").hidden');
      await browser.evaluate(`{
        const form = document.querySelector("#sign-in form");
        form.token.value = "s3cret";
        form.requestSubmit();
      }`);
      await browser.until(`document.querySelector("#sign-in").hidden && ${text("#status")} === "connected"`);
      await browser.until('document.querySelectorAll("canvas").length === 5');
      expect(await browser.evaluate<boolean>("document.documentElement.scrollWidth <= innerWidth")).toBe(
        true,
      );
      await browser.close();
    },
    TIMEOUT_MS,
  );

  test(
    "long and hostile names neither break a narrow page nor turn the text around them",
    async () => {
      const hostile = ["x".repeat(256), "\u202eevil", "مرحبا/عميل", "<img src=x onerror=alert(1)>"];
      const clients = await Promise.all(hostile.map((name) => deviceOf(one, name)));
      for (const [i, client] of clients.entries()) await client.subscribe(`${hostile[i]!}/#`);
      const browser = await Browser.open(start(), 360, 740);
      const views = ["overview", "clients", "subscriptions", "topics"];
      for (const view of [...views, ...hostile.map((name) => `client=${encodeURIComponent(name)}`)]) {
        await browser.evaluate(`location.hash = ${JSON.stringify(`#${view}`)}`);
        const section = `[data-view="${view.split("=")[0]!}"]`;
        await browser.until(
          `!document.querySelector('${section}').hidden && ${text("#status")} === "connected"`,
        );
        if (view === "topics") {
          await browser.until(`${text("#topics-note")} === "0 topics"`);
          const topic = `${"deep/".repeat(60)}${"y".repeat(300)}`;
          one.broker.router.publish(topic, Buffer.from("x"), { qos: 0, retain: false });
          await browser.until(`${text("#topic-tree")}.includes("deep")`);
          await browser.evaluate(
            'for (let one; (one = document.querySelector("#topic-tree [aria-expanded=false]")) !== null; ) one.click()',
          );
        }
        expect([view, await browser.evaluate<number>("document.documentElement.scrollWidth")]).toEqual([
          view,
          360,
        ]);
      }
      await browser.evaluate('location.hash = "#clients"');
      await browser.until(`${text("#client-rows tbody")}.includes("\\\\u202eevil")`);
      const names = '[...document.querySelectorAll("#client-rows td.name bdi")].map((one) => one.title)';
      expect(await browser.evaluate<string[]>(names)).toContain(hostile[0]!);
      expect(browser.problems).toEqual([]);
      await browser.close();
      for (const client of clients) client.cut();
    },
    TIMEOUT_MS,
  );

  test(
    "keys reach everything, the focus is seen, and stays while rows are renewed",
    async () => {
      const browser = await Browser.open(`${start()}dashboard#clients`, 1280, 900);
      await browser.until(`${text("#client-rows tbody")}.includes("<b>dev</b>")`);
      await browser.evaluate('document.querySelector("h1").focus()');
      const seen: string[] = [];
      const focused = `(() => {
        const one = document.activeElement;
        return one.textContent.trim().slice(0, 20) + "|" + getComputedStyle(one).outlineStyle;
      })()`;
      for (let i = 0; i < 12; i++) {
        await browser.tab();
        seen.push(await browser.evaluate<string>(focused));
      }
      for (const name of ["Overview", "Clients", "Subscriptions", "Topics", "Publish", "Log", "<b>dev</b>"])
        expect(seen).toContain(`${name}|solid`);
      await browser.evaluate('document.querySelector("#client-rows a").focus()');
      const row =
        '[...document.querySelectorAll("#client-rows tbody td.n")].map((one) => one.innerText).join()';
      const before = await browser.evaluate<string>(row);
      await browser.until(`${row} !== ${JSON.stringify(before)}`);
      expect(await browser.evaluate<string>("document.activeElement.textContent")).toBe("<b>dev</b>");
      await browser.close();
    },
    TIMEOUT_MS,
  );

  const THEMES = ["light", "dark"] as const;
  test.each(THEMES)(
    "text stands out from its ground, %s",
    async (value) => {
      const browser = await Browser.open(start(), 1280, 900);
      await browser.call("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value }],
      });
      const color = (name: string): Promise<string> =>
        browser.evaluate(`{
          document.body.style.color = "var(${name})";
          getComputedStyle(document.body).color;
        }`);
      for (const [ink, grounds] of [
        ["--ink", ["--ground", "--panel"]],
        ["--quiet", ["--ground", "--panel"]],
        ["--accent", ["--ground", "--panel"]],
        ["--accent-ink", ["--accent"]],
        ["--warn", ["--ground", "--panel"]],
        ["--in", ["--panel"]],
        ["--out", ["--panel"]],
      ] as const) {
        for (const ground of grounds) {
          const contrast = contrastOf(await color(ink), await color(ground));
          expect([ink, ground, contrast >= 4.5]).toEqual([ink, ground, true]); // WCAG 2.2, 1.4.3
        }
      }
      await browser.close();
    },
    TIMEOUT_MS,
  );

  test(
    "every control has a name, every table its heading",
    async () => {
      const browser = await Browser.open(start(), 1280, 900);
      await browser.until(`${text("#status")} === "connected"`);
      const unnamed = await browser.evaluate<
        string[]
      >(`[...document.querySelectorAll("input,select,textarea,button,a")]
        .filter((one) => !(one.labels?.length > 0 || one.textContent.trim() !== "" || one.hasAttribute("aria-label")))
        .map((one) => one.outerHTML)`);
      expect(unnamed).toEqual([]);
      const bare = await browser.evaluate<number>(`[...document.querySelectorAll("table")]
        .filter((one) => one.querySelector("th[scope=col]") === null || one.closest("[aria-labelledby]") === null).length`);
      expect(bare).toBe(0);
      await browser.close();
    },
    TIMEOUT_MS,
  );

  test(
    "is not shown within another page, and takes any address",
    async () => {
      const browser = await Browser.open(`${start()}dashboard#client=%`, 1280, 900);
      await browser.until(`${text("#status")} === "no such client"`);
      await browser.evaluate('location.hash = "#overview"');
      await browser.until(`${text("#status")} === "connected"`);
      await browser.evaluate(
        'document.body.append(Object.assign(document.createElement("iframe"), { src: "/dashboard" }))',
      );
      const framed = 'document.querySelector("iframe").contentDocument?.body';
      await browser.until(`${framed}?.innerText.includes("not shown within another page")`);
      expect(await browser.evaluate<number>(`${framed}.querySelectorAll("button,input,a").length`)).toBe(0);
      expect(browser.problems.filter((problem) => problem.includes("exceptionDetails"))).toEqual([]);
      await browser.close();
    },
    TIMEOUT_MS,
  );
});
