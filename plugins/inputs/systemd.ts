/** systemd: reads the journal of journald, and remembers how far each output has it. */
import { resolve } from 'node:path';
import {
  boolean,
  defineInput,
  enumOf,
  ignored,
  integer,
  many,
  path,
  size,
  string,
} from '../../src/plugin.ts';
import type { OptionProblem } from '../../src/plugin.ts';
import { SystemdInput } from './systemd/input.ts';
import { checkMatches, compileMatches, thisMachine } from './systemd/matches.ts';

export default defineInput({
  name: 'systemd',
  summary: 'Reads the journal of systemd-journald',
  options: {
    path: path()
      .optional()
      .describe(
        'Directory with journal files; it and its folders are read. By default the journal of this machine, without those of others that lie beside it.',
      ),
    journal_namespace: string()
      .optional()
      .describe('Journal namespace to read (`LogNamespace=` of units); by default the one without a name.'),
    systemd_filter: many()
      .optional()
      .describe('FIELD=value: only entries that have it, `_SYSTEMD_UNIT=nginx.service`. Several times.'),
    systemd_filter_type: enumOf('or', 'and')
      .default('or')
      .describe(
        'Whether an entry must match one of the filters or all. With `and`, of several values of one field one is enough.',
      ),
    read_from_tail: boolean()
      .default('false')
      .describe(
        'At the very first start, begin at the end of the journal, not with what it has. Later it goes on where it was.',
      ),
    lowercase: boolean().default('false').describe('Names of fields in lower case.'),
    strip_underscores: boolean()
      .default('false')
      .describe('Take the underscore off names that begin with one: `_PID` becomes `PID`.'),
    max_fields: integer({ min: 1 })
      .default('8000')
      .describe(
        'Fields of an entry that are taken; it is flagged with `truncated` in its metadata if it has more.',
      ),
    max_entries: integer({ min: 1 }).default('5000').describe('Entries that are handed over at once.'),
    buffer_max_size: size()
      .default('1M')
      .describe(
        'Longest field, bytes. A longer one is cut, and the entry flagged with `truncated` in its metadata; beyond so many bytes of one entry, further fields are cut to 1 KB.',
      ),
    binary_fields: enumOf('text', 'base64')
      .default('text')
      .describe(
        'A value that is not UTF-8. text: as text, with U+FFFD for what is none. base64: encoded, and its key listed under `base64` in the metadata of the entry.',
      ),
    journalctl_path: string().default('journalctl').describe('The program journalctl, by name or path.'),
    db: path()
      .optional()
      .describe(
        'A database of its own for the positions of this input. Of one that Fluent Bit left the cursor is taken over; it is never written.',
      ),
    'db.sync': ignored('positions are written after every response and synced once a second'),
  },
  target: ['path', 'journal_namespace', 'systemd_filter', 'systemd_filter_type'],
  example: `pipeline:
  inputs:
    - name: systemd
      tag: journal.*
      systemd_filter:
        - _SYSTEMD_UNIT=nginx.service
        - _SYSTEMD_UNIT=postgresql.service
      strip_underscores: on
      lowercase: on
`,
  check(options) {
    const problems: OptionProblem[] = checkMatches(options.systemd_filter ?? [], options.systemd_filter_type);
    const { journal_namespace: namespace, path: directory } = options;
    if (namespace !== undefined) {
      if (!/^[\w.-]{1,200}$/.test(namespace)) {
        problems.push({ key: 'journal_namespace', message: 'is not the name of a journal namespace' });
      }
      if (directory !== undefined) {
        problems.push({
          key: 'journal_namespace',
          message: 'does not go together with path: a directory is read as a whole',
        });
      }
    }
    return problems;
  },
  create(options, context) {
    const filters = options.systemd_filter ?? [];
    return new SystemdInput(
      {
        command: options.journalctl_path,
        directory: options.path === undefined ? undefined : resolve(context.cwd, options.path),
        namespace: options.journal_namespace,
        matches: compileMatches(
          filters,
          options.systemd_filter_type,
          options.path === undefined ? thisMachine() : undefined,
        ),
        isFiltered: filters.length > 0,
        maxFields: options.max_fields,
        maxEntries: options.max_entries,
        maxSize: options.buffer_max_size,
        lowercase: options.lowercase,
        stripUnderscores: options.strip_underscores,
        binary: options.binary_fields,
        readFromTail: options.read_from_tail,
      },
      context,
    );
  },
});
