// One client's life: its cursor against the log's head, what it subscribes to, and the two things one may do to it.

import type { ClientDetail, LogAnswer } from "./answers.ts";
import { fillFacts, fillRows, find, named, plain } from "./dom.ts";
import { bytes, count, duration } from "./format.ts";
import { json, messageOf, query } from "./http.ts";
import { stateText, userText } from "./tables.ts";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;

let shown = "";

export async function showClient(clientIdentifier: string): Promise<void> {
  shown = clientIdentifier;
  find("#client-title").replaceChildren(named(clientIdentifier));
  const [one, log] = await Promise.all([
    json<ClientDetail>(`/client${query({ id: clientIdentifier })}`),
    json<LogAnswer>("/log"),
  ]);
  const ago = (seconds: number | null): string => (seconds === null ? "—" : duration(seconds));
  fillFacts(find("#client-facts"), [
    ["State", stateText(one)],
    ["User", plain(userText(one))],
    ["MQTT", one.version],
    ["From", one.remote === null ? "—" : `${one.remote} (${one.listener ?? ""})`],
    ["Connected for", ago(one.connected_seconds)],
    ["Last heard of", one.silent_seconds === null ? "—" : `${duration(one.silent_seconds)} ago`],
    ["Keep Alive", keepAliveText(one)],
    ["Session Expiry", expiryText(one)],
    ["In flight", `${one.in_flight} of ${one.window}`],
    ["Sent on this connection", bytes(one.sent_bytes)],
    ["Behind", `${count(one.lag_messages)} messages, ${bytes(one.lag_bytes)}`],
    ["Will", one.has_will ? "yes" : "none"],
  ]);
  drawCursor(one, log);
  fillRows(
    find("#client-subscriptions"),
    one.subscriptions.map((subscription) => [
      { text: subscription.filter, name: true },
      { text: String(subscription.qos), number: true },
      { text: String(subscription.cursor), number: true },
      { text: count(subscription.lag_messages), number: true },
      { text: bytes(subscription.lag_bytes), number: true },
    ]),
    "It subscribes to nothing.",
  );
  const { length } = one.subscriptions;
  find("#client-subscriptions-note").textContent =
    length < one.subscriptions_total ? `The first ${length} of ${one.subscriptions_total}.` : "";
  find<HTMLButtonElement>("#kick").disabled = !one.connected;
}

function keepAliveText({ keep_alive_seconds: seconds }: ClientDetail): string {
  if (seconds === null) return "—";
  return seconds === 0 ? "none" : `${seconds} s`;
}

function expiryText({ expiry_seconds: seconds }: ClientDetail): string {
  if (seconds === 0) return "ends with the connection";
  return seconds === 0xffff_ffff ? "never" : duration(seconds);
}

/** The log's segments from its oldest Offset to its head, and where this client stands. */
function drawCursor({ cursor, head }: ClientDetail, { segments }: LogAnswer): void {
  const oldest = Math.min(segments[0]?.base_offset ?? head, cursor);
  const span = Math.max(1, head - oldest);
  const x = (offset: number): number => ((offset - oldest) / span) * WIDTH;
  const parts: Element[] = segments.map(({ base_offset: base, records }, i) =>
    shape("rect", {
      x: x(base),
      y: 22,
      width: Math.max(1, x(base + records) - x(base)),
      height: 16,
      fill: i % 2 === 0 ? "var(--line)" : "var(--quiet)",
    }),
  );
  parts.push(
    shape("rect", {
      x: x(cursor),
      y: 22,
      width: Math.max(0, WIDTH - x(cursor)),
      height: 16,
      fill: "var(--out)",
    }),
  );
  const at = Math.min(WIDTH - 4, x(cursor));
  parts.push(shape("rect", { x: at, y: 8, width: 4, height: 44, fill: "var(--accent)" }));
  find<SVGElement>("#cursor").replaceChildren(...parts);
  const behind = head - cursor;
  find("#cursor-text").textContent =
    behind === 0
      ? `Its cursor is at the log's head, Offset ${head}.`
      : `Its cursor is at Offset ${cursor}, ${behind} Offsets behind the log's head at ${head}.`;
}

function shape(name: string, attributes: Record<string, string | number>): Element {
  const element = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, String(value));
  return element;
}

export function beginClient(): void {
  const note = find("#client-note");
  const end = async (session: "" | "end", done: string): Promise<void> => {
    try {
      await json(`/client${query({ id: shown, session })}`, { method: "DELETE" });
      note.textContent = done;
    } catch (error) {
      note.textContent = messageOf(error);
    }
  };
  find("#kick").addEventListener("click", () => void end("", "It was disconnected."));
  find("#forget").addEventListener("click", () => {
    if (confirm(`Forget the session of ${plain(shown)}, with what it is still owed?`)) {
      void end("end", "It was disconnected, and its session is gone.");
    }
  });
}
