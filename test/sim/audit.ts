// Audit: what each budget says beside what its owners hold. It looks into private fields on purpose: nothing in the
// source should have to exist for it.

import type { Connection } from "../../src/net/connection.ts";
import type { Router } from "../../src/router/router.ts";

/** Throws when a budget differs from the sum of what is held in its name. */
export function audit(router: Router, connections: Iterable<Connection>): void {
  const { budgets } = router;
  let partial = 0;
  let parked = 0;
  let residue = 0;
  for (const connection of connections) {
    partial += connection.inbound["partial"].bytes.length;
    parked += connection.inbound["parked"]?.length ?? 0;
    residue += connection.outbound["rest"].length + connection.outbound["control"].length;
  }
  let log = 0;
  for (const segment of router.log.segments) log += segment?.cost ?? 0;
  same("partial packets", budgets.partial.used, partial);
  same("parked chunks", budgets.parked.used, parked);
  same("residues", budgets.residue.used, residue);
  same("log", budgets.log.used, log);
}

function same(name: string, budgeted: number, held: number): void {
  if (budgeted !== held) throw new Error(`budget ${name}: ${budgeted} bytes budgeted, ${held} held`);
}
