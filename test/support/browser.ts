// A headless Chromium with one page, driven over its DevTools socket.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where Chromium is; undefined when this machine has none. */
export const CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]
  .map((name) => Bun.which(name) ?? undefined)
  .find((path) => path !== undefined);

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-extensions",
  "--disable-background-networking",
  "--disable-sync",
  "--remote-debugging-port=0",
];
const WAIT_MS = 20_000;

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export class Browser {
  private readonly process: Bun.Subprocess;
  private readonly profile: string;
  private readonly socket: WebSocket;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private nextId = 1;
  private loaded = (): void => {};
  /** What the page wrote to its console as an error, and exceptions that nobody caught. */
  readonly problems: string[] = [];

  private constructor(process: Bun.Subprocess, profile: string, socket: WebSocket) {
    this.process = process;
    this.profile = profile;
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => this.take(JSON.parse(String(data)) as Answer));
  }

  /** Opens `url` in a window of the given size, px. */
  static async open(url: string, width: number, height: number): Promise<Browser> {
    const profile = mkdtempSync(join(tmpdir(), "millrace-browser-"));
    const process = Bun.spawn(
      [
        CHROMIUM ?? "chromium",
        ...FLAGS,
        `--user-data-dir=${profile}`,
        `--window-size=${width},${height}`,
        "about:blank",
      ],
      { stdout: "ignore", stderr: "pipe" },
    );
    const endpoint = await devTools(process.stderr);
    const list = (await (await fetch(`http://${endpoint}/json/list`)).json()) as {
      type: string;
      webSocketDebuggerUrl: string;
    }[];
    const target = list.find(({ type }) => type === "page");
    if (target === undefined) throw new Error("the browser has no page");
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", reject);
    });
    const browser = new Browser(process, profile, socket);
    await browser.call("Runtime.enable");
    await browser.call("Page.enable");
    await browser.call("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
    const loaded = new Promise<void>((resolve) => (browser.loaded = resolve));
    await browser.call("Page.navigate", { url });
    await loaded;
    return browser;
  }

  /** The value of `expression` in the page; awaits it when it is a promise. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.call("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    const { result, exceptionDetails } = answer as {
      result: { value: T };
      exceptionDetails?: { text: string };
    };
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  /** Waits until `expression` is true in the page. */
  async until(expression: string): Promise<void> {
    const loop = `new Promise((resolve, reject) => {
      const end = performance.now() + ${WAIT_MS};
      const look = () => (${expression}) ? resolve(true) : performance.now() > end ? resolve(false) : setTimeout(look, 20);
      look();
    })`;
    if (await this.evaluate<boolean>(loop)) return;
    throw new Error(
      `${expression} did not come true: ${await this.evaluate<string>("document.body.innerText")}`,
    );
  }

  /** A picture of the window as PNG. */
  async picture(): Promise<Buffer> {
    const { data } = await this.call("Page.captureScreenshot", { format: "png" });
    return Buffer.from(String(data), "base64");
  }

  async key(name: string): Promise<void> {
    for (const type of ["keyDown", "keyUp"]) await this.call("Input.dispatchKeyEvent", { type, key: name });
  }

  /** The Tab key, as the browser itself takes it. */
  async tab(): Promise<void> {
    const key = { key: "Tab", code: "Tab", windowsVirtualKeyCode: 9 };
    for (const type of ["keyDown", "keyUp"]) await this.call("Input.dispatchKeyEvent", { type, ...key });
  }

  call(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.nextId++;
    this.socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve, reject) => {
      this.waiting.set(id, ({ result = {}, error }) => {
        if (error === undefined) resolve(result);
        else reject(new Error(`${method}: ${error.message}`));
      });
    });
  }

  private take({ id, method, params, result, error }: Answer): void {
    if (id !== undefined) {
      this.waiting.get(id)?.({ ...(result && { result }), ...(error && { error }) });
      this.waiting.delete(id);
    } else if (method === "Page.loadEventFired") this.loaded();
    else if (method === "Runtime.exceptionThrown") this.problems.push(JSON.stringify(params));
    else if (method === "Runtime.consoleAPICalled" && params?.["type"] === "error") {
      this.problems.push(JSON.stringify(params["args"]));
    }
  }

  async close(): Promise<void> {
    this.socket.close();
    this.process.kill();
    await this.process.exited;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** The address that the browser says it can be driven at. */
async function devTools(stderr: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stderr) {
    text += decoder.decode(chunk, { stream: true });
    const found = /DevTools listening on ws:\/\/([^/]+)\//.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  throw new Error(`the browser ended: ${text}`);
}
