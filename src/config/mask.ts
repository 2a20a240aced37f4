/** Source lines are shown with problems, and may hold a password that has nothing to do with the problem. */

const MASKED = '***';

/** A key whose value is nobody's business, and what stands behind it. */
const SECRET_KEY =
  /((?:passw(?:or)?d|passphrase|secret|token|api_?key|shared_key|private_key|cloud_auth|security\.users|authorization|bearer|credential)[\w.-]*["']?\s*[:=\s]\s*)(?=\S).*$/i;

/** Variables of the `env` section are named in capitals: `DB_PASS: …`, `ES_KEY: …`. */
const SECRET_VARIABLE = /^(\s*-?\s*["']?\w*(?:PASS|PWD|SECRET|TOKEN|KEY|CRED)\w*["']?\s*:\s*)(?=\S).*$/;

/** `{name: DB_PASS, value: …}`: the value of a variable, whatever its name. */
const LISTED_VALUE =
  /(name:\s*["']?[A-Z_]*(?:PASS|PWD|SECRET|TOKEN|KEY|CRED)[A-Z_]*["']?\s*,\s*value:\s*)(?=\S).*$/;

/** `scheme://user:password@host`. */
const USERINFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@]*@/gi;

/** Only a variable's name stands there: nothing to hide, and the name is what the reader looks for. */
const VARIABLE_ONLY = /^\s*["']?\$\{[A-Za-z_][\w.-]*\}["']?\s*$/;

/** A line without credentials; with `all`, without any value. */
export function maskLine(line: string, all = false): string {
  if (all) return hide(line, /^(\s*(?:-\s+)?[^\s:]+\s*:\s*)(?=\S).*$|^(\s*)\S.*$/);
  const listed = hide(hide(hide(line, LISTED_VALUE), SECRET_VARIABLE), SECRET_KEY);
  return listed.replace(USERINFO, `$1${MASKED}@`);
}

function hide(line: string, pattern: RegExp): string {
  const match = pattern.exec(line);
  if (match === null) return line;
  const kept = line.slice(0, match.index) + (match[1] ?? match[2] ?? '');
  return VARIABLE_ONLY.test(line.slice(kept.length)) ? line : kept + MASKED;
}
