import { expect, it } from 'vitest';
import { judge } from '../../../../plugins/shared/bulk/tally.ts';

it.each([
  ['create', 201, '', '', 'delivered'],
  ['create', 409, 'version_conflict_engine_exception', '', 'delivered'],
  ['index', 409, 'version_conflict_engine_exception', '', 'retry'],
  ['update', 409, 'version_conflict_engine_exception', '', 'retry'],
  ['update', 200, '', '', 'delivered'],
  ['update', 404, 'document_missing_exception', '', 'rejected'],
  ['update', 404, 'index_not_found_exception', '', 'retry'],
  ['create', 404, 'index_not_found_exception', '', 'retry'],
  ['create', 403, 'cluster_block_exception', '', 'retry'],
  ['create', 429, 'es_rejected_execution_exception', '', 'retry'],
  ['create', 500, '', '', 'retry'],
  ['create', 0, '', '', 'retry'],
  ['create', 400, 'mapper_parsing_exception', 'mapper_parsing_exception: failed to parse', 'rejected'],
  ['create', 413, '', '', 'rejected'],
  [
    'index',
    400,
    'x',
    'illegal_argument_exception: only write ops with an op_type of create are allowed in data streams',
    'retry',
  ],
  ['create', 400, 'x', 'illegal_argument_exception: pipeline with id [a] does not exist', 'retry'],
  [
    'create',
    400,
    'x',
    'validation_exception: Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;',
    'retry',
  ],
] as const)('%s %d %s %s: %s', (operation, status, type, reason, verdict) => {
  expect(judge({ status, type, reason }, operation)).toBe(verdict);
});
