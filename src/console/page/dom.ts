// Elements found and made. Text from the broker becomes text nodes and nothing else.

export function find<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T {
  const found = within.querySelector<T>(selector);
  if (found === null) throw new Error(`the page has no ${selector}`);
  return found;
}

type Child = Node | string;

export function make(
  name: string,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElement {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

/** Characters that make a text look like another one: control characters, and those that turn its direction. */
const DECEPTIVE = /[\p{Cc}\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** What clients chose, as people may see it. */
export function plain(text: string): string {
  return text.replace(DECEPTIVE, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A name that clients chose, in its own direction of writing: the text around it keeps its own. */
export function named(text: string): HTMLElement {
  return make("bdi", { title: plain(text) }, plain(text));
}

/** One cell: a number stands right, a name that clients chose is broken where it is too long. */
export type Cell =
  | { readonly text: string; readonly href?: string; readonly number?: boolean; readonly name?: boolean }
  | Node;

/** Shows `rows` in the table's body; `empty` says what it means that there are none. */
export function fillRows(table: HTMLElement, rows: readonly (readonly Cell[])[], empty: string): void {
  const body = find("tbody", table);
  const columns = table.querySelectorAll("thead th").length;
  const shown = rows.map((cells) => make("tr", {}, ...cells.map(cellOf)));
  if (shown.length === 0) {
    shown.push(make("tr", {}, make("td", { colspan: String(columns), class: "empty" }, empty)));
  }
  renew(body, shown);
}

/** Puts `rows` in place of those that are there. What is the same stays, and with it the focus and a selection. */
function renew(body: HTMLElement, rows: readonly HTMLElement[]): void {
  const held = body.contains(document.activeElement) ? document.activeElement : null;
  for (const [i, row] of rows.entries()) {
    const present = body.children[i];
    if (present === undefined) body.append(row);
    else if (present.childElementCount !== row.childElementCount) present.replaceWith(row);
    else {
      const cells = [...row.children];
      for (const [at, cell] of [...present.children].entries()) {
        if (!cell.isEqualNode(cells[at]!)) cell.replaceWith(cells[at]!);
      }
    }
  }
  while (body.childElementCount > rows.length) body.lastElementChild?.remove();
  if (held === null || held.isConnected) return;
  const links = [...body.querySelectorAll("a")];
  links
    .find((link) => link.getAttribute("href") === held.getAttribute("href"))
    ?.focus({ preventScroll: true });
}

function cellOf(cell: Cell): HTMLElement {
  if (cell instanceof Node) return make("td", {}, cell);
  const { text, href, number, name } = cell;
  const shown: Child = name ? named(text) : text;
  const content: Child = href === undefined ? shown : make("a", { href }, shown);
  return make("td", number ? { class: "n" } : name ? { class: "name" } : {}, content);
}

/** Shows names and their values. */
export function fillFacts(list: HTMLElement, facts: readonly (readonly [string, string])[]): void {
  list.replaceChildren(
    ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );
}
