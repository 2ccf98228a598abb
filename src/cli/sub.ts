// `millrace sub`: prints what comes on topics, the way mosquitto_sub does.

import type { Command } from "commander";
import type { ISubscription } from "mqtt-packet";
import type { QoS } from "../packet/protocol.ts";
import { parseTopicFilter } from "../topic/topicFilter.ts";
import {
  addSessionOptions,
  clientTerms,
  connectTerms,
  qosOption,
  type SessionFlags,
  warner,
} from "./clientOptions.ts";
import { CommandError } from "./end.ts";
import { joinProperties, readProperties } from "./mqtt/properties.ts";
import { type Format, parseFormat } from "./subFormat.ts";
import { Subscriber } from "./subscriber.ts";
import { decimal, integer, utf8 } from "./values.ts";

interface Flags extends SessionFlags {
  readonly topic?: readonly string[];
  readonly filterOut?: readonly string[];
  readonly unsubscribe?: readonly string[];
  readonly qos: QoS;
  readonly count?: number;
  readonly timeout?: number;
  readonly verbose?: true;
  readonly format?: string;
  readonly pretty?: true;
  /** False with -N. */
  readonly eol: boolean;
  readonly skipRetained?: true;
  readonly retainedOnly?: true;
  readonly removeRetained?: true;
  readonly retainAsPublished?: true;
  readonly exitSubscribed?: true;
  readonly randomFilter?: number;
}

const COUNT_MAX = 2 ** 53 - 1;
const TIMEOUT_S_MAX = 2_000_000;
const NOTHING = Buffer.alloc(0);

const HELP = `
Formats, for -F:
  %t topic   %q QoS   %r retained   %m packet identifier
  %p payload   %l its length   %x %X in hexadecimal
  %I time, ISO 8601   %U seconds since 1970   @H @M @S ... as strftime(3) has it   @N nanoseconds
  %j the message as JSON, %J the same with a payload that is JSON (--pretty lays it out)
  %C content type   %D correlation data   %E expiry interval   %F payload format   (MQTT 5)
  %P user properties   %R response topic   %S subscription identifiers   %A topic alias   (MQTT 5)
  %% @@ \\\\ themselves   \\n \\t \\r \\v \\a \\e \\0 characters   %-20t %020l widths   %.8t at most

Examples:
  millrace sub -t 'plant/#' -v                            topic and payload, until Ctrl-C
  millrace sub -t 'plant/+/state' -C 1 -W 5               the first message, if it comes within 5 s
  millrace sub -t '#' -T 'noise/#' -F '%I %-20t %p'       with the time, and without some topics
  millrace sub -t 'plant/#' -F %j | jq .                  JSON, a line for each message
  millrace sub -t jobs -q 1 -c -i worker-1 -E             makes a session that collects, and ends
  millrace sub -t '#' --retained-only --remove-retained   clears all, until a live message comes
  millrace sub -L wss://anna@broker/mqtt -t a             WebSocket, password in MILLRACE_PASSWORD

Exit status: 0 ended by -C, -E, --retained-only, SIGINT, SIGTERM, or by who reads the output; 1 a
wrong option, or no connection; 7 the connection was lost for good; 27 by -W; else the code with
which the broker refused the connection or a subscription.
`;

export function rewrite(args: readonly string[]): string[] {
  return joinProperties(args);
}

export function register(command: Command): void {
  command
    .usage("-t <filter> ... [options]")
    .optionsGroup("Topics:")
    .option("-t, --topic <filter>", "what to subscribe to; may be repeated", appended)
    .option("-T, --filter-out <filter>", "what of it not to print; may be repeated", appended)
    .option("-U, --unsubscribe <filter>", "what to unsubscribe from; may be repeated", appended)
    .addOption(qosOption("-q, --qos <qos>", "Quality of Service"))
    .option("-R, --skip-retained", "leave out what was retained before")
    .option("--retained-only", "print what was retained, and end with the first message that was not")
    .option("--remove-retained", "clear each retained message that comes")
    .option("--retain-as-published", "keep the retain flag of the publisher (MQTT 5)")
    .optionsGroup("End:")
    .option("-C, --count <n>", "after so many messages", integer(1, COUNT_MAX))
    .option("-W, --timeout <s>", "so many seconds after it has connected", decimal(0.001, TIMEOUT_S_MAX))
    .option("-E, --exit-subscribed", "as soon as the broker has subscribed")
    .optionsGroup("Output:")
    .option("-v, --verbose", "topic and payload")
    .option("-F, --format <format>", "in this form; see below")
    .option("--pretty", "lay JSON out on several lines")
    .option("-N, --no-eol", "no line end behind each message")
    .option("--random-filter <percent>", "print a share of the messages", decimal(0.1, 100));
  addSessionOptions(command).addHelpText("after", HELP).action(subscribe);
}

function appended(text: string, all: readonly string[] = []): string[] {
  return [...all, utf8(text)];
}

async function subscribe(flags: Flags): Promise<void> {
  if (flags.skipRetained === true && flags.retainedOnly === true)
    throw new CommandError("-R and --retained-only do not go together: they leave nothing to print");
  const owners = ["connect", "subscribe", "unsubscribe", "disconnect", "will"] as const;
  const given = readProperties(flags.property ?? [], owners);
  const subscriber = new Subscriber({
    client: clientTerms(flags, "sub", given),
    subscriptions: subscriptionsOf(flags),
    unsubscriptions: filters("-U", flags.unsubscribe),
    properties: given,
    filterOut: filters("-T", flags.filterOut),
    format: formatOf(flags),
    countMax: flags.count,
    timeoutMs: flags.timeout === undefined ? undefined : flags.timeout * 1000,
    endsSubscribed: flags.exitSubscribed === true,
    retained: flags.retainedOnly ? "only" : flags.skipRetained ? "none" : "all",
    removesRetained: flags.removeRetained === true,
    share: (flags.randomFilter ?? 100) / 100,
    warn: warner(flags),
  });
  process.exitCode = await subscriber.run();
}

function subscriptionsOf(flags: Flags): ISubscription[] {
  const topics = [...(flags.topic ?? [])];
  const { topic } = connectTerms(flags);
  if (topic !== undefined) topics.push(topic);
  if (topics.length === 0 && flags.unsubscribe === undefined)
    throw new CommandError("a topic is missing: say what to subscribe to with -t");
  const rap = flags.retainAsPublished === true;
  return filters("-t", topics).map((filter) => ({ topic: filter, qos: flags.qos, nl: false, rap, rh: 0 }));
}

function filters(option: string, texts: readonly string[] = []): readonly string[] {
  for (const text of texts) {
    if (parseTopicFilter(text) !== null) continue;
    const rule = "+ stands for one whole level, and # for all that follow, at the end alone";
    throw new CommandError(`${option} ${JSON.stringify(text)} is no topic filter: ${rule}`);
  }
  return texts;
}

/** Line ends are the format's, as a message without a payload may leave nothing at all. */
function formatOf({ format, verbose, pretty, eol }: Flags): Format {
  const lineEnd = eol ? "\n" : "";
  if (format !== undefined) return parseFormat(format, pretty === true, lineEnd);
  const full = parseFormat(verbose ? "%t %p" : "%p", false, lineEnd);
  const empty = verbose && eol ? parseFormat("%t (null)", false, lineEnd) : () => NOTHING;
  return (message, moment) => (message.payload.length === 0 ? empty : full)(message, moment);
}
