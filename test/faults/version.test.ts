/** Fault 36: files of the state that are of another version, and configurations that are wrong, touch nothing. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import { describe, expect } from 'vitest';
import {
  configure,
  contents,
  leaveBacklog,
  LINES,
  restoreBacklog,
  segments,
  stateFile,
} from '../support/backlog.ts';
import { test } from '../support/e2e.ts';
import type { Rig } from '../support/e2e.ts';

describe('fault 36: of another version', () => {
  const NEWER: Readonly<Record<string, (rig: Rig) => void>> = {
    'a segment': (rig) => {
      const file = segments(rig)[0] as string;
      const bytes = readFileSync(file);
      bytes.writeUInt32LE(2, 8);
      bytes.writeUInt32LE(crc32(bytes.subarray(0, 12)), 12);
      writeFileSync(file, bytes);
    },
    'the progress log': (rig) => {
      const file = stateFile(rig, 'buffer/progress.log');
      const [, ...lines] = readFileSync(file, 'utf8').split('\n');
      writeFileSync(
        file,
        [`tailrace-progress 2 ${crc32('tailrace-progress 2').toString(16).padStart(8, '0')}`, ...lines].join(
          '\n',
        ),
      );
    },
    'the positions': (rig) => {
      const database = new DatabaseSync(stateFile(rig, 'positions.db'));
      database.exec(`UPDATE meta SET value = '99' WHERE key = 'version'`);
      database.close();
    },
  };

  test('refused in a sentence, nothing touched', async ({ rig }) => {
    await leaveBacklog(rig);
    for (const [what, change] of Object.entries(NEWER)) {
      restoreBacklog(rig);
      change(rig);
      const before = contents(rig);
      const agent = rig.launch();
      expect((await agent.exited).code, what).toBe(1);
      expect(agent.stderr, what).toMatch(/format (2|99), this version of tailrace knows/);
      expect(agent.stderr, what).not.toContain('    at ');
      const after = contents(rig);
      for (const [file, bytes] of before) {
        if (basename(file).endsWith('.holder')) continue;
        expect(after.get(file), `${what}: ${file}`).toBe(bytes);
      }
    }
  });

  test('a configuration that is wrong never touches the backlog', async ({ rig }) => {
    await leaveBacklog(rig);
    const before = contents(rig);
    const good = readFileSync(rig.path('pipeline.yaml'), 'utf8');
    for (const wrong of [
      good.replace('name: http', 'name: htp'),
      `${good}\n[`,
      good.replace('port: 0', 'port: x'),
    ]) {
      rig.configure(wrong);
      expect((await rig.launch().exited).code).toBe(1);
      expect(contents(rig)).toEqual(before);
    }
    const sink = await rig.sink();
    configure(rig, sink);
    const agent = await rig.start();
    await sink.reached(LINES);
    await agent.stop();
  });
});
