#!/usr/bin/env node
/**
 * The launcher. Plain, old JavaScript on purpose: an older Node must get as far as the sentence that refuses it.
 *
 * V8 must be told of its young generation before it starts: 8 MB instead of the default halves the resident memory of an agent
 * under load at no cost in CPU. So the process replaces itself once (same pid, 35 ms) unless it was started with the flag.
 * An old generation that grows by 40 % between collections instead of up to four times costs 4 % of CPU under full load and takes
 * 15 to 25 MB off the peak.
 * `--expose-gc` is there for the one collection after a start that gives back what the loading of modules took.
 */
var MINIMUM = 24;
var FLAGS = ['--max-semi-space-size=8', '--heap-growing-percent=40', '--expose-gc'];

function say(text) {
  process.stderr.write('tailrace: ' + text + '\n');
}

function hasFlag() {
  var given = process.execArgv.concat((process.env.NODE_OPTIONS || '').split(/\s+/));
  return given.some(function (flag) {
    return flag.replace(/_/g, '-').indexOf('--max-semi-space-size') === 0;
  });
}

function restartWithFlag() {
  if (hasFlag() || typeof process.execve !== 'function' || process.platform === 'win32') return;
  var args = [process.execPath].concat(FLAGS, process.execArgv, process.argv.slice(1));
  try {
    process.execve(process.execPath, args, process.env);
  } catch (error) {
    // A sandbox may forbid it: the agent runs as well with more memory.
    if (process.env.TAILRACE_DEBUG) say('cannot restart with ' + FLAGS.join(' ') + ': ' + error.message);
  }
}

function cacheDirectory() {
  var env = process.env;
  // Never the shared temporary directory: what lies there could be somebody else's code.
  if (env.CACHE_DIRECTORY) return env.CACHE_DIRECTORY;
  if (env.XDG_CACHE_HOME) return env.XDG_CACHE_HOME + '/tailrace';
  return env.HOME ? env.HOME + '/.cache/tailrace' : undefined;
}

function start() {
  import('node:module')
    .then(function (module) {
      var directory = cacheDirectory();
      if (directory) module.enableCompileCache(directory);
      return import('node:fs');
    })
    .then(function (fs) {
      // A checkout runs its sources, whatever was compiled there once; a package has no sources.
      var source = new URL('../src/cli/main.ts', import.meta.url);
      var compiled = new URL('../dist/src/cli/main.js', import.meta.url);
      var useSource = fs.existsSync(source) && process.env.TAILRACE_COMPILED !== '1';
      return import(useSource ? source.href : compiled.href);
    })
    .then(function (cli) {
      return cli.main(process.argv.slice(2));
    })
    .catch(function (error) {
      say(error && error.stack ? error.stack : String(error));
      process.exit(5);
    });
}

if (parseInt(process.versions.node, 10) < MINIMUM) {
  say(
    'this needs Node.js ' +
      MINIMUM +
      ' or newer, and this is ' +
      process.version +
      ' (' +
      process.execPath +
      ').',
  );
  process.exit(2);
} else {
  restartWithFlag();
  start();
}
