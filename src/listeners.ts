// Listeners: those of a configuration, listening; and what a changed configuration makes of them. Whoever is connected
// stays: a listener that goes takes no further connections, and that is all.

import type { Logger } from "./base/logger.ts";
import { fileProblem, type PlaceOf } from "./config/filePlace.ts";
import type { FileWatch } from "./config/fileWatch.ts";
import { sectionPath } from "./config/listeners.ts";
import { ConfigError } from "./config/problems.ts";
import type { BrokerSettings } from "./config/settings.ts";
import type { Host } from "./net/host.ts";
import { Listener } from "./net/listener.ts";
import { congestionOf, systemCongestion } from "./net/listenerCongestion.ts";
import type { ListenerSettings } from "./net/settings.ts";
import { TlsFileError, tlsFiles } from "./net/tlsKit.ts";

export class Listeners {
  private readonly host: Host;
  private readonly files: FileWatch;
  private readonly logger: Logger;
  private readonly congestion = congestionOf(systemCongestion());
  private all: Listener[] = [];
  private placeOf: PlaceOf | undefined;
  private readonly unwatch = new Map<Listener, () => void>();

  constructor(host: Host, files: FileWatch, logger: Logger) {
    this.host = host;
    this.files = files;
    this.logger = logger;
  }

  [Symbol.iterator](): Iterator<Listener> {
    return this.all[Symbol.iterator]();
  }

  /**
   * Rejects with the error of the first that cannot listen, with its `address` and `section`, or with ConfigError for a
   * file of TLS; then none does.
   */
  async start(settings: Pick<BrokerSettings, "listeners" | "placeOf">): Promise<void> {
    (await this.prepare(settings))();
  }

  /**
   * Makes ready what `settings` want: new addresses are listened on, files of TLS are read. Returns what puts it in
   * force, and gives up what is not wanted any more; a socket whose address another listener has from now on stays.
   * Rejects as start() does; then nothing has changed.
   */
  async prepare(settings: Pick<BrokerSettings, "listeners" | "placeOf">): Promise<() => void> {
    const places = samePlaces(this.all, settings.listeners);
    const kept = [...places.values()];
    const started: Listener[] = [];
    const stopped: Listener[] = [];
    const changes: (() => void)[] = [];
    const wanted: Listener[] = [];
    for (const one of settings.listeners) {
      try {
        const known = places.get(one);
        if (known === undefined) {
          const listener = new Listener(one, this.host, this.congestion);
          // The kernel gives a port to one of those that would have it on overlapping addresses.
          const inTheWay = this.all.filter((other) => !kept.includes(other) && isSamePort(other, one));
          for (const other of inTheWay) other.stop();
          stopped.push(...inTheWay);
          await listener.start();
          started.push(listener);
          wanted.push(listener);
        } else {
          changes.push(known.change(one));
          wanted.push(known);
        }
      } catch (error) {
        for (const listener of started) listener.stop();
        for (const listener of stopped) await listener.start();
        if (error instanceof TlsFileError) throw new ConfigError([tlsProblem(error, one, settings.placeOf)]);
        const address = one.transport.unix?.path ?? `${one.host}:${one.port}`;
        throw Object.assign(error as Error, { address, section: one.section });
      }
    }
    return () => {
      this.placeOf = settings.placeOf;
      this.host.listensAs(settings.listeners);
      for (const listener of this.all) {
        this.unwatch.get(listener)?.();
        this.unwatch.delete(listener);
        if (!kept.includes(listener) && !stopped.includes(listener)) listener.stop();
      }
      for (const change of changes) change();
      this.all = wanted;
      for (const listener of wanted) {
        this.watch(listener);
        this.host.stats.of(listener.settings.section); // told of from now on, whether somebody has come or not
      }
    };
  }

  stop(): void {
    for (const listener of this.all) listener.stop();
  }

  /** Certificates, keys, authorities and CRLs that are replaced serve the next connections. */
  private watch(listener: Listener): void {
    const { tls } = listener.settings.transport;
    if (tls !== null)
      this.unwatch.set(
        listener,
        this.files.watch(tlsFiles(tls), () => this.reload(listener)),
      );
  }

  private reload(listener: Listener): void {
    const { section } = listener.settings;
    try {
      listener.reload();
      const until = new Date(listener.tlsKit?.expiresWallMs ?? 0).toISOString();
      this.logger.info({ listener: section, until }, `[${section}.tls]: the files are loaded anew`);
      for (const warning of listener.tlsKit?.warnings ?? []) this.logger.warn({ listener: section }, warning);
    } catch (error) {
      if (!(error instanceof TlsFileError)) throw error;
      const text = tlsProblem(error, listener.settings, this.placeOf);
      this.logger.error({ listener: section, path: error.path }, `${text}; what was loaded before stays`);
    }
  }
}

function tlsProblem(
  { key, index, path, reason }: TlsFileError,
  listener: ListenerSettings,
  placeOf: PlaceOf | undefined,
): string {
  const section = [...sectionPath(listener), "tls"];
  const at = index < 0 ? [...section, key] : [...section, "sni", index, key];
  return fileProblem(placeOf, at, path, reason);
}

/**
 * Which of `listeners` has the address that each of `settings` wants: its socket can stay. A port that the system chose
 * is any port, for the same section.
 */
function samePlaces(
  listeners: readonly Listener[],
  settings: readonly ListenerSettings[],
): Map<ListenerSettings, Listener> {
  const places = new Map<ListenerSettings, Listener>();
  for (const one of settings) {
    const taken = [...places.values()];
    const known = listeners.find((listener) => !taken.includes(listener) && isSamePlace(listener, one));
    if (known !== undefined) places.set(one, known);
  }
  return places;
}

function isSamePlace(listener: Listener, b: ListenerSettings): boolean {
  const a = listener.settings;
  if (a.transport.unix !== null || b.transport.unix !== null) {
    return (
      a.transport.unix?.path === b.transport.unix?.path && a.transport.unix?.mode === b.transport.unix?.mode
    );
  }
  if (a.host !== b.host) return false;
  return b.port === 0 ? a.port === 0 && a.section === b.section : listener.port === b.port;
}

/** Two sockets cannot have it, or not always. */
function isSamePort(listener: Listener, b: ListenerSettings): boolean {
  const a = listener.settings;
  if (b.transport.unix !== null) return a.transport.unix?.path === b.transport.unix.path;
  return a.transport.unix === null && a.port !== 0 && a.port === b.port;
}
