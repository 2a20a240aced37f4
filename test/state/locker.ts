/** Run by the tests as a process of its own: tries to lock a directory, and says what came of it. */
import { lockDirectory } from '../../src/state/lock.ts';

try {
  lockDirectory(process.argv[2] as string);
  process.stdout.write('taken');
} catch (error) {
  process.stdout.write(String(error));
}
