import { expect, it } from 'vitest';
import { suggestion } from '../../src/config/suggest.ts';

it.each([
  ['tale', ['tail', 'stdin', 'dummy'], 'tail'],
  ['log_livel', ['log_level', 'log_file'], 'log_level'],
  ['read_from_hed', ['read_from_head', 'refresh_interval'], 'read_from_head'],
  ['Read-From-Head', ['read_from_head'], 'read_from_head'],
  ['time_kee', ['time_key', 'time_keep'], 'time_keep'],
  ['mtach', ['match', 'alias'], 'match'],
  ['from_head', ['read_from_head', 'path'], 'read_from_head'],
  ['x', ['y', 'match'], undefined],
  ['', ['a'], undefined],
  ['nosuchplugin', ['tail', 'stdin'], undefined],
])('%j of %j: %s', (written, names, meant) => {
  expect(suggestion(written, names)).toBe(meant);
});
