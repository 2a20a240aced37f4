import { expect, it } from 'vitest';
import { registry } from '../../plugins/index.ts';
import { describePlugin } from '../../src/config/describe.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { enumOf, integer, secret, string } from '../../src/config/schema.ts';
import { defineOutput } from '../../src/plugin.ts';
import type { PluginRegistry } from '../../src/plugin.ts';

const output = defineOutput({
  name: 'demo',
  aliases: ['example'],
  summary: 'Shows what an output is',
  options: {
    host: string().default('127.0.0.1').describe('Where to.'),
    port: integer({ min: 1, max: 65_535 }),
    mode: enumOf('fast', 'Safe').default('fast'),
    password: secret().optional().alias('passwd'),
  },
  create: () => ({ deliver: () => Promise.reject(new Error('Never called.')) }),
});

const small: PluginRegistry = {
  load: async (kind, name) => (kind === 'output' && ['demo', 'example'].includes(name) ? output : undefined),
  names: (kind) => (kind === 'output' ? ['demo', 'example'] : []),
};

it('the schema of the configuration comes from the declarations', async () => {
  const schema = (await configJsonSchema(small)) as unknown as {
    properties: {
      service: { properties: Record<string, { description: string; default: string }> };
      pipeline: {
        properties: {
          outputs: {
            items: { properties: { name: { enum: string[] } }; allOf: { then: Record<string, unknown> }[] };
          };
        };
      };
    };
  };
  expect(schema.properties.service.properties['flush']).toMatchObject({ default: '1' });
  const { items } = schema.properties.pipeline.properties.outputs;
  expect(items.properties.name.enum).toEqual(['demo', 'example']);
  expect(items.allOf).toHaveLength(1);
  expect(items.allOf[0]?.then).toMatchObject({
    additionalProperties: false,
    required: ['port'],
    properties: {
      port: { anyOf: [{ type: 'integer', minimum: 1, maximum: 65_535 }, expect.anything()] },
      mode: { anyOf: [{ enum: ['fast', 'Safe', 'safe'] }, expect.anything()], default: 'fast' },
      passwd: expect.anything() as unknown,
      match: expect.anything() as unknown,
      retry_limit: expect.anything() as unknown,
    },
  });
});

it('all plugins of the registry have a schema, which is JSON', async () => {
  const text = JSON.stringify(await configJsonSchema(registry));
  for (const kind of ['input', 'filter', 'output', 'parser'] as const) {
    for (const name of registry.names(kind)) expect(text).toContain(`"${name}"`);
  }
});

it('a plugin is described as its declaration says', () => {
  const { options, shared, ...plugin } = describePlugin(output);
  expect(plugin).toMatchObject({
    kind: 'output',
    name: 'demo',
    aliases: ['example'],
    summary: 'Shows what an output is',
  });
  expect(options.map(({ key, type, default: initial, required }) => [key, type, initial, required])).toEqual([
    ['host', 'string', '127.0.0.1', false],
    ['port', 'integer', undefined, true],
    ['mode', 'fast | Safe', 'fast', false],
    ['password', 'secret', undefined, false],
  ]);
  expect(shared.map(({ key }) => key)).toContain('retry_limit');
});
