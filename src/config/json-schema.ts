/** The JSON Schema of a configuration, for editors: from the same declarations that the loader checks by. */
import type { PluginDefinition, PluginRegistry } from '../plugin.ts';
import type { JsonSchema, OptionFields } from './options.ts';
import { serviceOptions } from './service-options.ts';
import { optionsOf } from './shared-options.ts';
import type { PipelineKind } from './shared-options.ts';

const FREE: JsonSchema = {};
const TEXT_LIST: JsonSchema = { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] };

/** The schema (draft 2020-12). Loads all plugins of the registry. Keys stand in lower case; Tailrace itself takes any case. */
export async function configJsonSchema(registry: PluginRegistry): Promise<JsonSchema> {
  const [inputs, filters, outputs, parsers] = await Promise.all(
    (['input', 'filter', 'output', 'parser'] as const).map((kind) => loadAll(registry, kind)),
  );
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Tailrace configuration',
    type: 'object',
    additionalProperties: false,
    properties: {
      env: {
        anyOf: [
          { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } },
          { type: 'array', items: variableSchema },
        ],
      },
      includes: TEXT_LIST,
      service: objectSchema(serviceOptions),
      pipeline: {
        type: 'object',
        additionalProperties: false,
        properties: {
          inputs: listSchema('input', inputs ?? [], { processors: FREE, routes: FREE }),
          filters: listSchema('filter', filters ?? [], {}),
          outputs: listSchema('output', outputs ?? [], { processors: FREE }),
        },
      },
      parsers: { type: 'array', items: parserSchema(parsers ?? []) },
      multiline_parsers: { type: 'array', items: { type: 'object' } },
      plugins: {
        type: 'array',
        items: { type: 'string' },
        description: "The user's own plugins: files beside the configuration, or packages.",
      },
      upstream_servers: { type: 'array', items: { type: 'object' } },
      extensions: FREE,
    },
  };
}

const variableSchema: JsonSchema = {
  type: 'object',
  required: ['name'],
  additionalProperties: false,
  properties: {
    name: { type: 'string' },
    value: { type: ['string', 'number', 'boolean'] },
    uri: { type: 'string', pattern: '^file://', description: 'File with a secret value.' },
    refresh_interval: { type: ['string', 'number'] },
  },
};

async function loadAll(
  registry: PluginRegistry,
  kind: PluginDefinition['kind'],
): Promise<PluginDefinition[]> {
  const found = new Map<string, PluginDefinition>();
  for (const name of registry.names(kind)) {
    const definition = await registry.load(kind, name);
    if (definition !== undefined) found.set(definition.name, definition);
  }
  return [...found.values()];
}

function listSchema(
  kind: PipelineKind,
  definitions: readonly PluginDefinition[],
  more: Record<string, JsonSchema>,
): JsonSchema {
  const variants = definitions.map((definition) => ({
    definition,
    schema: objectSchema(optionsOf(kind, definition.options), more),
  }));
  return { type: 'array', items: byName('name', variants) };
}

function parserSchema(definitions: readonly PluginDefinition[]): JsonSchema {
  const variants = definitions.map((definition) => ({
    definition,
    schema: objectSchema(definition.options, { name: { type: 'string' } }, ['name']),
  }));
  return byName('format', variants);
}

/** Which of the variants counts is said by the plugin's name in `key`. */
function byName(
  key: string,
  variants: readonly { definition: PluginDefinition; schema: JsonSchema }[],
): JsonSchema {
  const names = variants.flatMap(({ definition: { name, aliases = [] } }) => [name, ...aliases]);
  return {
    type: 'object',
    required: [key],
    properties: { [key]: { enum: names } },
    allOf: variants.map(({ definition: { name, aliases = [], summary }, schema }) => {
      const properties = { [key]: { enum: [name, ...aliases] }, ...(schema['properties'] as JsonSchema) };
      return {
        if: { properties: { [key]: { enum: [name, ...aliases] } }, required: [key] },
        // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's word.
        then: { ...schema, description: summary, properties },
      };
    }),
  };
}

function objectSchema(
  fields: OptionFields,
  more: Record<string, JsonSchema> = {},
  alsoRequired: readonly string[] = [],
): JsonSchema {
  const properties: Record<string, JsonSchema> = { ...more };
  const patterns: Record<string, JsonSchema> = {};
  const required: string[] = [...alsoRequired];
  for (const [key, { spec }] of Object.entries(fields)) {
    const schema: JsonSchema = {
      ...spec.jsonSchema,
      ...(spec.description === '' ? {} : { description: spec.description }),
      ...(spec.defaultText === undefined ? {} : { default: spec.defaultText }),
      ...(spec.deprecated === undefined ? {} : { deprecated: true }),
    };
    if (spec.family) patterns[`^${key.slice(0, key.indexOf('*')).replace(/[.]/g, '\\.')}`] = schema;
    else for (const name of [key, ...spec.aliases]) properties[name] = schema;
    // With an alias either name will do, which `required` cannot say.
    if (spec.required && spec.aliases.length === 0) required.push(key);
  }
  return {
    type: 'object',
    additionalProperties: false,
    properties,
    ...(Object.keys(patterns).length === 0 ? {} : { patternProperties: patterns }),
    ...(required.length === 0 ? {} : { required }),
  };
}
