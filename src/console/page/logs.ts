// The log as it comes, and its filter. The stream is read by fetch, because an EventSource cannot show a token.

import { find, make, named, plain } from "./dom.ts";
import { ask, json, messageOf } from "./http.ts";

const LINES_MAX = 1000;
const AGAIN_MS = 2000;

let stream: AbortController | null = null;

export async function showLog(): Promise<void> {
  if (stream !== null) return;
  const mine = new AbortController();
  stream = mine;
  const { filter } = await json<{ filter: string }>("/logs/filter");
  const input = find<HTMLInputElement>("#log-filter input");
  if (document.activeElement !== input) input.value = filter;
  void follow(mine);
}

export function hideLog(): void {
  stream?.abort();
  stream = null;
}

async function follow(mine: AbortController): Promise<void> {
  while (!mine.signal.aborted) {
    try {
      const response = await ask("/logs/tail", { signal: mine.signal });
      if (response.body !== null && response.ok) await read(response.body);
    } catch {
      // The broker is gone, or the view was left.
    }
    if (!mine.signal.aborted) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

async function read(body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (text + decoder.decode(value, { stream: true })).split("\n\n");
    text = events.pop() ?? "";
    const lines = events.flatMap(lineOf);
    if (lines.length > 0) append(lines);
  }
}

function lineOf(event: string): HTMLElement[] {
  const name = /^event: (.*)$/m.exec(event)?.[1];
  const data = [...event.matchAll(/^data: ?(.*)$/gm)].map(([, part]) => part).join("\n");
  if (name === "lost")
    return [make("p", { class: "warn" }, `${data} lines were left out: they came too fast`)];
  if (name !== "line") return [];
  try {
    const { level, time, msg, ...fields } = JSON.parse(data) as Record<string, unknown>;
    const rest = Object.entries(fields).flatMap(([key, value]) => [` ${key}=`, named(JSON.stringify(value))]);
    const at = new Date(typeof time === "string" || typeof time === "number" ? time : Date.now());
    const word = typeof level === "string" ? level : levelName(Number(level));
    const clock = at.toLocaleTimeString(undefined, { hour12: false });
    const line = `${clock} ${word.padEnd(5)} ${plain(String(msg))} `;
    return [make("p", { class: word }, line, ...rest)];
  } catch {
    return [make("p", {}, plain(data))];
  }
}

function levelName(level: number): string {
  return { 10: "trace", 20: "debug", 30: "info", 40: "warn", 50: "error", 60: "fatal" }[level] ?? "info";
}

function append(lines: HTMLElement[]): void {
  const place = find("#log-lines");
  place.append(...lines);
  while (place.childElementCount > LINES_MAX) place.firstElementChild?.remove();
  if (find<HTMLInputElement>("#log-follow").checked) place.scrollTop = place.scrollHeight;
}

export function beginLog(): void {
  const form = find<HTMLFormElement>("#log-filter");
  const alert = find("[role=alert]", form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const filter = find<HTMLInputElement>("input", form).value;
    void json<{ filter: string }>("/logs/filter", { method: "POST", body: filter }).then(
      () => {
        alert.textContent = "";
      },
      (error: unknown) => {
        alert.textContent = messageOf(error);
      },
    );
  });
  find("#log-clear").addEventListener("click", () => find("#log-lines").replaceChildren());
}
