/** kmsg: the kernel's messages, from its ring buffer. */
import { defineInput, integer, path } from '../../src/plugin.ts';
import { KmsgDevice } from './kmsg/device.ts';
import { KmsgInput } from './kmsg/input.ts';

export default defineInput({
  name: 'kmsg',
  summary: "Reads the kernel's messages",
  options: {
    prio_level: integer({ min: 0 })
      .default(8)
      .describe(
        'Messages of a higher priority number are left out, and counted as dropped (`priority`): 4 takes warnings and what is worse. 0 (emergency) to 7 (debug).',
      ),
    path: path()
      .default('/dev/kmsg')
      .describe('The device. A file or FIFO with its text may stand in for it, which the log says.'),
  },
  target: ['path'],
  example: `pipeline:
  inputs:
    - name: kmsg
      tag: kernel
      prio_level: 5
`,
  create(options, context) {
    return new KmsgInput(
      {
        path: options.path,
        mostPriority: options.prio_level,
        open: () => new KmsgDevice(options.path),
      },
      context,
    );
  },
});
