/**
 * Loaded before an agent: its wall clock is off by the seconds that the file `clock-offset` in its directory says, looked at a hundred
 * times a second; `clock-is` then says the same. The stand-in for setting the machine's clock; the monotonic clock and timers go on, as they do there.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const SystemDate = Date;
let offsetMs = 0;

function look(): void {
  const seconds = readFileSync('clock-offset', 'utf8');
  if (seconds === '' || Number(seconds) * 1000 === offsetMs) return;
  offsetMs = Number(seconds) * 1000;
  writeFileSync('clock-is', seconds);
}

look();
setInterval(look, 10).unref();

globalThis.Date = new Proxy(SystemDate, {
  construct: (target, values, newTarget) =>
    Reflect.construct(target, values.length === 0 ? [SystemDate.now() + offsetMs] : values, newTarget),
  get: (target, key) =>
    key === 'now' ? () => SystemDate.now() + offsetMs : (Reflect.get(target, key) as unknown),
});
