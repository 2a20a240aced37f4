/** `systemd_filter` as matches of journalctl: those beside each other must all hold, `+` begins an alternative. */
import { readFileSync } from 'node:fs';
import type { OptionProblem } from '../../../src/plugin.ts';

type FilterType = 'or' | 'and';

/** As libsystemd takes them; a name that begins with two underscores is no field. */
const MATCH = /^(?!__)[A-Z0-9_]+=/;

export function checkMatches(filters: readonly string[], type: FilterType): OptionProblem[] {
  const problems: OptionProblem[] = [];
  const fields = new Set<string>();
  for (const [index, filter] of filters.entries()) {
    const field = filter.slice(0, filter.indexOf('='));
    if (!MATCH.test(filter)) {
      problems.push({
        key: 'systemd_filter',
        index,
        message:
          'is not FIELD=value, with a name of capital letters, digits and underscores: write _SYSTEMD_UNIT=nginx.service, for instance',
      });
    } else if (type === 'and' && fields.has(field)) {
      problems.push({
        key: 'systemd_filter',
        index,
        level: 'warning',
        message: `asks for a second value of ${field}; one of them is enough, for hardly an entry has both`,
      });
    }
    fields.add(field);
  }
  return problems;
}

/** Arguments of journalctl. `always` is a match that holds with each alternative. */
export function compileMatches(
  filters: readonly string[],
  type: FilterType,
  always: string | undefined,
): string[] {
  const common = always === undefined ? [] : [always];
  if (type === 'and' || filters.length < 2) return [...filters, ...common];
  return filters.flatMap((filter, index) => [...(index === 0 ? [] : ['+']), filter, ...common]);
}

/**
 * The match for entries of this machine. journalctl must merge the journals of all that lie there (only then it follows more than the latest
 * boot); this leaves the others out, as Fluent Bit does.
 */
export function thisMachine(file = '/etc/machine-id'): string | undefined {
  try {
    const id = readFileSync(file, 'latin1').trim();
    return /^[0-9a-f]{32}$/.test(id) ? `_MACHINE_ID=${id}` : undefined;
  } catch {
    return undefined;
  }
}
