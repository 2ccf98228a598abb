// Retention: what gives way when the log's budget is used up.

import type { CommitLog } from "../log/commitLog.ts";
import type { Filters } from "./filters.ts";
import type { RouterSettings } from "./settings.ts";
import type { Stats } from "./stats.ts";

export class Retention {
  private readonly log: CommitLog;
  private readonly filters: Filters;
  private readonly settings: RouterSettings;
  private readonly stats: Stats;

  constructor(log: CommitLog, filters: Filters, settings: RouterSettings, stats: Stats) {
    this.log = log;
    this.filters = filters;
    this.settings = settings;
    this.stats = stats;
  }

  makeRoom(): boolean {
    void [this.log, this.filters, this.settings, this.stats];
    return false;
  }
}
