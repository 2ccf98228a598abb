// ServiceManager: tells systemd what the broker does (sd_notify), when systemd started it as Type=notify. The messages
// go by systemd-notify, which every machine with systemd has: the runtime has no datagram sockets of the Unix kind.

import type { Logger } from "../base/logger.ts";

const PROGRAM = "systemd-notify";
/** A watchdog is told twice as often as it asks for. */
const WATCHDOG_SHARE = 2;

type Environment = Readonly<Record<string, string | undefined>>;

/** How often WATCHDOG=1 is due, ms; null when no watchdog wants it of this process. */
export function watchdogIntervalMs(environment: Environment, pid: number): number | null {
  const { WATCHDOG_USEC: asked, WATCHDOG_PID: whose } = environment;
  if (asked === undefined || (whose !== undefined && Number(whose) !== pid)) return null;
  const ms = Math.floor(Number(asked) / 1000 / WATCHDOG_SHARE);
  return ms > 0 ? ms : null;
}

export class ServiceManager {
  private readonly logger: Logger;
  private readonly isThere: boolean;
  private watchdog: Timer | null = null;
  private hasFailed = false;

  constructor(logger: Logger, environment: Environment = process.env) {
    this.logger = logger;
    this.isThere = environment["NOTIFY_SOCKET"] !== undefined;
    const interval = this.isThere ? watchdogIntervalMs(environment, process.pid) : null;
    // The timer runs on the event loop that serves clients: a loop that stands still is not reported alive.
    if (interval !== null) this.watchdog = setInterval(() => this.tell("WATCHDOG=1"), interval);
  }

  ready(status: string): void {
    this.tell("READY=1", `STATUS=${status}`);
  }

  stopping(): void {
    if (this.watchdog !== null) clearInterval(this.watchdog);
    this.watchdog = null;
    this.tell("STOPPING=1", "STATUS=stopping");
  }

  private tell(...states: string[]): void {
    if (!this.isThere || this.hasFailed) return;
    try {
      const told = Bun.spawn([PROGRAM, `--pid=${process.pid}`, ...states], {
        stdio: ["ignore", "ignore", "ignore"],
      });
      void told.exited.then((status) => {
        if (status !== 0) this.failed(`it ended with status ${status}`);
      });
    } catch (error) {
      this.failed(error instanceof Error ? error.message : String(error));
    }
  }

  private failed(reason: string): void {
    if (this.hasFailed) return;
    this.hasFailed = true;
    this.logger.warn({ reason }, `${PROGRAM} cannot reach the service manager: it is told nothing more`);
  }
}
