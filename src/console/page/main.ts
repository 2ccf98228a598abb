// The page: one view at a time, named by the address behind #, asked for again every second while it can be seen.

import type { ClientRow, SubscriptionRow } from "./answers.ts";
import { beginClient, showClient } from "./client.ts";
import { find } from "./dom.ts";
import { messageOf, rememberToken, SignInNeeded } from "./http.ts";
import { beginLog, hideLog, showLog } from "./logs.ts";
import { showOverview } from "./overview.ts";
import { beginPublish } from "./publish.ts";
import { clientCells, SearchTable, subscriptionCells } from "./tables.ts";
import { beginTopics, showTopics } from "./topics.ts";

const REFRESH_MS = 1000;

const clients = new SearchTable<ClientRow>(
  "/clients",
  "clients",
  "#client-rows",
  "#client-pager",
  clientCells,
);
const subscriptions = new SearchTable<SubscriptionRow>(
  "/subscriptions",
  "subscriptions",
  "#subscription-rows",
  "#subscription-pager",
  subscriptionCells,
);

/** What a view does each second; null for what shows nothing that changes. */
const VIEWS: Readonly<Record<string, ((argument: string) => Promise<void>) | null>> = {
  overview: showOverview,
  clients: () => clients.show(),
  client: showClient,
  subscriptions: () => subscriptions.show(),
  topics: showTopics,
  publish: null,
  log: showLog,
};

let view = "overview";
let argument = "";
let busy = false;

function readAddress(): void {
  const [name = "", value = ""] = location.hash.slice(1).split("=", 2);
  view = Object.hasOwn(VIEWS, name) ? name : "overview";
  argument = decoded(value);
}

/** An address that somebody typed need not be well formed. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function showView(): void {
  readAddress();
  if (view !== "log") hideLog();
  for (const section of document.querySelectorAll<HTMLElement>("[data-view]")) {
    section.hidden = section.dataset["view"] !== view;
  }
  for (const link of document.querySelectorAll<HTMLAnchorElement>("nav a")) {
    const isCurrent = link.hash === `#${view}` || (view === "client" && link.hash === "#clients");
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  find("#client-note").textContent = "";
  void refresh();
}

async function refresh(): Promise<void> {
  const show = VIEWS[view];
  if (show === null || show === undefined || busy || document.visibilityState === "hidden") return;
  busy = true;
  const status = find("#status");
  try {
    await show(argument);
    find("#sign-in").hidden = true;
    if (status.textContent !== "connected") status.textContent = "connected";
    status.classList.remove("lost");
  } catch (error) {
    if (error instanceof SignInNeeded) find("#sign-in").hidden = false;
    status.textContent = error instanceof TypeError ? "the broker does not answer" : messageOf(error);
    status.classList.add("lost");
  } finally {
    busy = false;
  }
}

function begin(): void {
  find<HTMLFormElement>("#sign-in form").addEventListener("submit", (event) => {
    event.preventDefault();
    rememberToken(find<HTMLInputElement>("#sign-in input").value);
    void refresh();
  });
  beginClient();
  beginLog();
  beginPublish();
  beginTopics();
  addEventListener("hashchange", () => {
    showView();
    find("#content").focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  document.addEventListener("visibilitychange", () => void refresh());
  setInterval(() => void refresh(), REFRESH_MS);
  showView();
}

// A stranger's page could lay this one unseen below something that people mean to press.
if (window.top === window.self) begin();
else document.body.textContent = "The console is not shown within another page.";
