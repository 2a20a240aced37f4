/** A strict reader of syslog, written from RFC 5424, RFC 3164 and RFC 6587: throws for whatever those do not allow. */

export interface Syslog5424 {
  facility: number;
  severity: number;
  timestamp: string;
  hostname: string;
  appname: string;
  procid: string;
  msgid: string;
  data: Record<string, [string, string][]>;
  /** Undefined where there is none. Without its byte order mark. */
  text: string | undefined;
}

const HEADER =
  /^<(\d{1,3})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) /;
const ELEMENT_START = /^\[([!#-<>-\\^-~]{1,32})/;
const PARAMETER = /^ ([!#-<>-\\^-~]{1,32})="((?:[^"\\\]]|\\["\\\]])*)"/;

/** Reads one message, whose text is marked as UTF-8 unless said otherwise. */
export function readSyslog5424(bytes: Buffer, mark: 'marked' | 'unmarked' = 'marked'): Syslog5424 {
  // Throws for bytes that are no UTF-8; the mark stays.
  const message = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  const header = HEADER.exec(message);
  if (header === null) throw new Error(`No header: ${JSON.stringify(message.slice(0, 200))}`);
  const [whole, priority = '', timestamp = '', hostname = '', appname = '', procid = '', msgid = ''] = header;
  let rest = message.slice(whole.length);
  const data: Syslog5424['data'] = {};
  if (rest.startsWith('-')) rest = rest.slice(1);
  else {
    for (let start = ELEMENT_START.exec(rest); start !== null; start = ELEMENT_START.exec(rest)) {
      const [open, id = ''] = start;
      if (Object.hasOwn(data, id)) throw new Error(`Two elements ${id}.`);
      const parameters: [string, string][] = [];
      rest = rest.slice(open.length);
      for (let found = PARAMETER.exec(rest); found !== null; found = PARAMETER.exec(rest)) {
        const [text, name = '', value = ''] = found;
        parameters.push([name, value.replace(/\\(["\\\]])/g, '$1')]);
        rest = rest.slice(text.length);
      }
      if (!rest.startsWith(']')) throw new Error(`The element ${id} does not end: ${JSON.stringify(rest)}`);
      rest = rest.slice(1);
      data[id] = parameters;
    }
  }
  let text: string | undefined;
  if (rest !== '') {
    const before = mark === 'marked' ? ' \ufeff' : ' ';
    if (!rest.startsWith(before)) throw new Error(`No mark before the text: ${JSON.stringify(rest)}`);
    text = rest.slice(before.length);
  }
  const number = Number(priority);
  if (number > 191) throw new Error(`The priority is ${number}.`);
  return {
    facility: number >> 3,
    severity: number & 7,
    timestamp,
    hostname,
    appname,
    procid,
    msgid,
    data,
    text,
  };
}

export interface Syslog3164 {
  facility: number;
  severity: number;
  timestamp: string;
  /** What follows the time. */
  rest: string;
}

export function readSyslog3164(bytes: Buffer): Syslog3164 {
  const message = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  const [, priority = '', timestamp = '', rest] =
    /^<(\d{1,3})>((?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 123]\d \d\d:\d\d:\d\d) ([^]*)$/.exec(
      message,
    ) ?? [];
  if (rest === undefined) throw new Error(`No header: ${JSON.stringify(message.slice(0, 200))}`);
  return { facility: Number(priority) >> 3, severity: Number(priority) & 7, timestamp, rest };
}

/** The messages of a stream whose frames end in a line feed; NUL ends one too, as for syslog-ng. */
export function linesOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let start = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== 10 && bytes[at] !== 0) continue;
    messages.push(bytes.subarray(start, at));
    start = at + 1;
  }
  if (start < bytes.length) throw new Error('The last frame has no end.');
  return messages;
}

/** The messages of a stream whose frames begin with their length. */
export function countedOf(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const [prefix, digits = ''] = /^([1-9]\d{0,9}) /.exec(bytes.toString('latin1', at, at + 11)) ?? [];
    if (prefix === undefined) throw new Error('A frame has no length.');
    const start = at + prefix.length;
    at = start + Number(digits);
    if (at > bytes.length) throw new Error('The last frame has no end.');
    messages.push(bytes.subarray(start, at));
  }
  return messages;
}
