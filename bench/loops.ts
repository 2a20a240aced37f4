/**
 * The bare loops: what Node itself needs for the work, without any agent around it. A floor to compare with.
 *
 *   node bench/loops.ts plain|json|nginx|cri|json-add-key FILE [OUT]
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const NGINX =
  /^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>[^"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^"]*)" "(?<agent>[^"]*)")/;
const CRI = /^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$/;

/** Calls `take` with each block of whole lines. */
function blocks(file: string, take: (text: string) => void): void {
  const descriptor = openSync(file, 'r');
  const buffer = Buffer.allocUnsafeSlow(1 << 20);
  let kept = 0;
  for (;;) {
    const read = readSync(descriptor, buffer, kept, buffer.length - kept, null);
    if (read === 0) break;
    const end = buffer.lastIndexOf(10, kept + read - 1) + 1;
    take(buffer.toString('latin1', 0, end));
    buffer.copyWithin(0, end, kept + read);
    kept = kept + read - end;
  }
  closeSync(descriptor);
}

function eachLine(file: string, take: (line: string) => void): void {
  blocks(file, (text) => {
    for (let start = 0; start < text.length;) {
      const end = text.indexOf('\n', start);
      take(text.slice(start, end));
      start = end + 1;
    }
  });
}

const [work = '', file = '', out = '/dev/null'] = process.argv.slice(2);
let records = 0;
let checksum = 0;

switch (work) {
  case 'plain':
    eachLine(file, (line) => {
      records++;
      checksum += line.length;
    });
    break;
  case 'json':
    eachLine(file, (line) => {
      const record = JSON.parse(line) as { status: number };
      records++;
      checksum += record.status;
    });
    break;
  case 'nginx':
    eachLine(file, (line) => {
      const groups = NGINX.exec(line)?.groups;
      records++;
      checksum += groups?.['code']?.length ?? 0;
    });
    break;
  case 'cri':
    eachLine(file, (line) => {
      const groups = CRI.exec(line)?.groups;
      records++;
      checksum += groups?.['message']?.length ?? 0;
    });
    break;
  case 'json-add-key': {
    // Parse to validate, cut the time key's text away, splice the new key in.
    const descriptor = openSync(out, 'w');
    blocks(file, (text) => {
      let written = '';
      for (let start = 0; start < text.length;) {
        const end = text.indexOf('\n', start);
        const line = text.slice(start, end);
        const record = JSON.parse(line) as { time: string };
        const after = '{"time":"'.length + record.time.length + '",'.length;
        written += `{${line.slice(after, -1)},"host":"bench"}\n`;
        records++;
        start = end + 1;
      }
      checksum += writeSync(descriptor, written, null, 'latin1');
    });
    closeSync(descriptor);
    break;
  }
  default:
    console.error('usage: node bench/loops.ts plain|json|nginx|cri|json-add-key FILE [OUT]');
    process.exitCode = 2;
}
console.log(JSON.stringify({ work, records, checksum }));
