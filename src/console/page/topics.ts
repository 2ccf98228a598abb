// The topic tree, live: levels of the topics that messages are published to, with their rates. A tree of the ARIA
// kind: arrows move and open, one item is in the tab order.

import type { TopicsAnswer } from "./answers.ts";
import { find, make, named } from "./dom.ts";
import { count } from "./format.ts";
import { json, query } from "./http.ts";

const TOPICS = 500;

interface Level {
  messages: number;
  rate: number;
  readonly below: Map<string, Level>;
}

const open = new Set<string>();
let focused = "";

export async function showTopics(): Promise<void> {
  const search = find<HTMLInputElement>('[data-view="topics"] input[type=search]').value.trim();
  const answer = await json<TopicsAnswer>(`/topics${query({ search, limit: TOPICS })}`);
  const root: Level = { messages: 0, rate: 0, below: new Map() };
  for (const { topic, messages, messages_per_second: rate } of answer.topics) {
    let level = root;
    for (const name of topic.split("/")) {
      let next = level.below.get(name);
      if (next === undefined) {
        next = { messages: 0, rate: 0, below: new Map() };
        level.below.set(name, next);
      }
      next.messages += messages;
      next.rate += rate;
      level = next;
    }
  }
  const tree = find("#topic-tree");
  const hadFocus = tree.contains(document.activeElement);
  tree.replaceChildren(...items(root, "", 1));
  const all = [...tree.querySelectorAll<HTMLElement>("[role=treeitem]")];
  const present = all.find((item) => item.dataset["path"] === focused) ?? all[0];
  if (present !== undefined) {
    present.tabIndex = 0;
    if (hadFocus) present.focus();
  }
  const others =
    answer.other_messages === 0 ? "" : `, and ${count(answer.other_messages)} messages elsewhere`;
  const busiest = answer.topics.length;
  const shown = busiest < answer.total ? `the busiest ${busiest} of ${answer.total}` : String(busiest);
  find("#topics-note").textContent = `${shown} topics${others}`;
}

function items(level: Level, prefix: string, depth: number): HTMLElement[] {
  const sorted = [...level.below].sort(([, a], [, b]) => b.rate - a.rate || b.messages - a.messages);
  return sorted.map(([name, one]) => {
    const path = `${prefix}${name}`;
    const figures = make("small", {}, `${count(one.rate)}/s, ${count(one.messages)} in all`);
    const attributes: Record<string, string> = {
      role: "treeitem",
      tabindex: "-1",
      "aria-level": String(depth),
      "data-path": path,
    };
    const children: Node[] = [make("span", {}, name === "" ? "(empty)" : named(name), figures)];
    if (one.below.size > 0) {
      attributes["aria-expanded"] = String(open.has(path));
      children.push(make("ul", { role: "group" }, ...items(one, `${path}/`, depth + 1)));
    }
    return make("li", attributes, ...children);
  });
}

function toggle(item: HTMLElement, wanted: boolean): void {
  if (!item.hasAttribute("aria-expanded")) return;
  const path = item.dataset["path"] ?? "";
  if (wanted) open.add(path);
  else open.delete(path);
  item.setAttribute("aria-expanded", String(wanted));
}

function focus(item: HTMLElement | null | undefined): void {
  if (item === null || item === undefined) return;
  for (const other of find("#topic-tree").querySelectorAll<HTMLElement>('[tabindex="0"]'))
    other.tabIndex = -1;
  item.tabIndex = 0;
  focused = item.dataset["path"] ?? "";
  item.focus();
}

export function beginTopics(): void {
  const tree = find("#topic-tree");
  const itemOf = (event: Event): HTMLElement | null =>
    event.target instanceof Element ? event.target.closest<HTMLElement>("[role=treeitem]") : null;
  find('[data-view="topics"] form').addEventListener("submit", (event) => event.preventDefault());
  tree.addEventListener("click", (event) => {
    const item = itemOf(event);
    if (item === null) return;
    toggle(item, item.getAttribute("aria-expanded") !== "true");
    focus(item);
  });
  tree.addEventListener("keydown", (event) => {
    const item = itemOf(event);
    if (item === null) return;
    const visible = [...tree.querySelectorAll<HTMLElement>("[role=treeitem]")].filter(
      (one) => one.parentElement?.closest('[aria-expanded="false"]') === null,
    );
    const at = visible.indexOf(item);
    const isOpen = item.getAttribute("aria-expanded") === "true";
    const actions: Record<string, () => void> = {
      ArrowDown: () => focus(visible[at + 1]),
      ArrowUp: () => focus(visible[at - 1]),
      Home: () => focus(visible[0]),
      End: () => focus(visible.at(-1)),
      ArrowRight: () => (isOpen ? focus(visible[at + 1]) : toggle(item, true)),
      ArrowLeft: () =>
        isOpen ? toggle(item, false) : focus(item.parentElement?.closest<HTMLElement>("[role=treeitem]")),
      Enter: () => toggle(item, !isOpen),
    };
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
}
