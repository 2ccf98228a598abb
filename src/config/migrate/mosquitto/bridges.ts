// mosquitto's bridges: told one by one, for there are none yet.

import type { Draft } from "../draft.ts";
import type { Option } from "./options.ts";
import { mosquittoRule } from "./rules.ts";

const WHY = "bridges are not there yet: no message goes to or comes from the other broker";

/**
 * One warning for each `connection`; of its options addresses and topics are shown, of the others the names alone, for
 * some are secret.
 */
export function addBridges(draft: Draft, options: readonly Option[]): void {
  const ofBridges = options.filter(({ name }) => mosquittoRule(name)?.scope === "bridge");
  for (const [index, option] of ofBridges.entries()) {
    if (option.name !== "connection") continue;
    const end = ofBridges.findIndex(({ name }, at) => at > index && name === "connection");
    const own = ofBridges.slice(index + 1, end < 0 ? undefined : end);
    const isShown = ({ name }: Option): boolean => /^(?:address(?:es)?|topic)$/.test(name);
    const others = new Set(own.filter((one) => !isShown(one)).map(({ name }) => name));
    const section = draft.section([]);
    section.gone(`connection ${option.text}`, WHY, { source: option.source });
    for (const { name, text } of own.filter(isShown)) section.note(`  ${name} ${text}`);
    if (others.size > 0) section.note(`  with its ${[...others].join(", ")}`);
    for (const { source } of own) draft.tell(source);
  }
}
