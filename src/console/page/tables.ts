// Clients and subscriptions: searched and paged by the broker, not here.

import type { ClientRow, List, SubscriptionRow } from "./answers.ts";
import { type Cell, fillRows, find, make } from "./dom.ts";
import { count, bytes, duration } from "./format.ts";
import { json, query } from "./http.ts";

const PAGE = 50;
const TYPING_MS = 200;

/** One searched and paged table. */
export class SearchTable<T> {
  private offset = 0;
  private search = "";
  private readonly path: string;
  private readonly table: HTMLElement;
  private readonly pager: HTMLElement;
  private readonly row: (one: T) => Cell[];

  constructor(path: string, view: string, table: string, pager: string, row: (one: T) => Cell[]) {
    this.path = path;
    this.row = row;
    this.table = find(table);
    this.pager = find(pager);
    const section = find(`[data-view="${view}"]`);
    const input = find<HTMLInputElement>("input[type=search]", section);
    let timer = 0;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        this.search = input.value.trim();
        this.offset = 0;
        void this.show();
      }, TYPING_MS);
    });
    find("form", section).addEventListener("submit", (event) => event.preventDefault());
  }

  async show(): Promise<void> {
    const { search, offset } = this;
    const list = await json<List<T>>(this.path + query({ search, offset, limit: PAGE }));
    const rows = list.items.map((one) => this.row(one));
    fillRows(this.table, rows, search === "" ? "There are none." : `None contains ${search}.`);
    this.showPager(list);
  }

  private showPager({ total, offset, items }: List<T>): void {
    const turn = (text: string, to: number, possible: boolean): HTMLElement => {
      const button = make("button", { type: "button" }, text) as HTMLButtonElement;
      button.disabled = !possible;
      button.addEventListener("click", () => {
        this.offset = to;
        void this.show();
      });
      return button;
    };
    const to = offset + items.length;
    const had = this.pager.contains(document.activeElement) ? document.activeElement?.textContent : null;
    const buttons = [
      turn("Previous", Math.max(0, offset - PAGE), offset > 0),
      turn("Next", offset + PAGE, to < total),
    ];
    const text = total === 0 ? "0 of 0" : `${offset + 1}–${to} of ${total}`;
    this.pager.replaceChildren(...buttons, make("span", { role: "status" }, text));
    buttons.find((button) => button.textContent === had)?.focus(); // it was replaced while it had the focus
  }
}

export function clientHref(clientIdentifier: string): string {
  return `#client=${encodeURIComponent(clientIdentifier)}`;
}

export function clientCells(one: ClientRow): Cell[] {
  return [
    { text: one.client_id, href: clientHref(one.client_id), name: true },
    { text: userText(one), name: true },
    { text: stateText(one) },
    { text: one.version },
    { text: one.remote === null ? "" : `${one.remote} (${one.listener ?? ""})` },
    { text: one.connected_seconds === null ? "" : duration(one.connected_seconds), number: true },
    { text: count(one.subscription_count), number: true },
    {
      text: one.lag_messages === 0 ? "" : `${count(one.lag_messages)} (${bytes(one.lag_bytes)})`,
      number: true,
    },
  ];
}

/** Who it has proved to be. */
export function userText({ username, tenant }: ClientRow): string {
  const name = username === "" ? "anonymous" : username;
  return tenant === null ? name : `${name} of ${tenant}`;
}

const STATES: Readonly<Record<string, string>> = {
  caught_up: "up to date",
  ready: "receiving",
  socket_full: "reads slowly",
  window_full: "waits for acknowledgements",
  offline: "offline",
};

export function stateText({ state }: { readonly state: string }): string {
  return STATES[state] ?? state;
}

export function subscriptionCells(one: SubscriptionRow): Cell[] {
  return [
    { text: one.filter, name: true },
    { text: one.client_id, href: clientHref(one.client_id), name: true },
    { text: String(one.qos), number: true },
    { text: count(one.lag_messages), number: true },
    { text: bytes(one.lag_bytes), number: true },
  ];
}
