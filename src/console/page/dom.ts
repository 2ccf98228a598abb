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

/** One cell: a number stands right. */
export type Cell = { readonly text: string; readonly href?: string; readonly number?: boolean } | Node;

/** Shows `rows` in the table's body; `empty` says what it means that there are none. */
export function fillRows(table: HTMLElement, rows: readonly (readonly Cell[])[], empty: string): void {
  const body = find("tbody", table);
  const columns = table.querySelectorAll("thead th").length;
  const shown = rows.map((cells) => make("tr", {}, ...cells.map(cellOf)));
  if (shown.length === 0) {
    shown.push(make("tr", {}, make("td", { colspan: String(columns), class: "empty" }, empty)));
  }
  body.replaceChildren(...shown);
}

function cellOf(cell: Cell): HTMLElement {
  if (cell instanceof Node) return make("td", {}, cell);
  const { text, href, number } = cell;
  const content: Child = href === undefined ? text : make("a", { href }, text);
  return make("td", number ? { class: "n" } : {}, content);
}

/** Shows names and their values. */
export function fillFacts(list: HTMLElement, facts: readonly (readonly [string, string])[]): void {
  list.replaceChildren(
    ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))),
  );
}
