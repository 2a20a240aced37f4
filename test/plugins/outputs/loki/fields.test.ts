import { describe, expect, it } from 'vitest';
import {
  compileField,
  FieldSyntaxError,
  fieldText,
  labelMapFields,
  labelName,
} from '../../../../plugins/outputs/loki/fields.ts';
import { parseExact } from '../../../../src/event/json.ts';
import type { ReadonlyRecord } from '../../../../src/event/record.ts';

const record = parseExact(
  '{"level":"warn","n":12345678901234567890,"f":1.5,"small":1.23456789e-7,"none":null,"ok":true,"empty":"","kubernetes":{"pod_name":"p-1","labels":{"app.kubernetes.io/name":"shop"}},"list":[1,"two"]}',
) as ReadonlyRecord;

const read = (item: string): [string, string | undefined] => {
  const field = compileField(item);
  return [field.name, field.read(record, 'kube.shop.p-1')];
};

describe('labels', () => {
  it.each([
    ['job=app', 'job', 'app'],
    ['job = app one', 'job', 'app one'],
    ['url=a=b', 'url', 'a=b'],
    ['price=5$', 'price', '5$'],
    ['level=$level', 'level', 'warn'],
    ['$level', 'level', 'warn'],
    ["$kubernetes['pod_name']", 'kubernetes_pod_name', 'p-1'],
    ["$kubernetes['labels']['app.kubernetes.io/name']", 'kubernetes_labels_app_kubernetes_io_name', 'shop'],
    ["app=$kubernetes['labels']['app.kubernetes.io/name']", 'app', 'shop'],
    ['$list[1]', 'list_1', 'two'],
    ['where=$TAG', 'where', 'kube.shop.p-1'],
    ['where=$TAG[1]', 'where', 'shop'],
    ['both=$level.$ok', 'both', 'warn.true'],
    ['my-label=x', 'my_label', 'x'],
    ['n=$n', 'n', '12345678901234567890'],
    ['f=$f', 'f', '1.500000'],
    ['small=$small', 'small', '1.23456789e-7'],
    ['none=$none', 'none', 'null'],
    ['list=$list', 'list', '[1,"two"]'],
    ['empty=$empty', 'empty', ''],
    ['gone=$gone', 'gone', undefined],
  ])('%s', (item, name, value) => {
    expect(read(item)).toEqual([name, value]);
  });

  it('knows where the record has the value', () => {
    expect(compileField("$kubernetes['pod_name']").path).toEqual(['kubernetes', 'pod_name']);
    expect(compileField('a=$level').path).toEqual(['level']);
    expect(compileField('a=$level.$ok').path).toEqual(['level']);
    expect(compileField('a=$TAG').path).toBeUndefined();
    expect(compileField('a=b').path).toBeUndefined();
  });

  it.each([
    ['job', /write name=value/],
    ['=x', /write name=value/],
    ['job=', /write name=value/],
    ['$1', /begins with a digit/],
    ['$a.b', /cannot be read: A "\." cannot follow "\$a"/],
    ["a=$b['", /closing quote/],
  ])('cannot read %s', (item, message) => {
    expect(() => compileField(item)).toThrow(FieldSyntaxError);
    expect(() => compileField(item)).toThrow(message);
  });

  it('have names that Loki takes', () => {
    expect(['a', 'a.b-c/d', '0x', 'ü', '_'].map(labelName)).toEqual(['a', 'a_b_c_d', '_0x', '_', '_']);
  });

  it('have values as text', () => {
    expect([0, -0.25, 1e21, true, 2n].map(fieldText)).toEqual(['0', '-0.250000', '1e+21', 'true', '2']);
  });
});

describe('a label map', () => {
  it('names values by their place', () => {
    const fields = labelMapFields({
      level: 'severity',
      kubernetes: { pod_name: 'pod', labels: { "it's": 'its' } },
    });
    expect(fields.map(({ name, path }) => [name, path])).toEqual([
      ['severity', ['level']],
      ['pod', ['kubernetes', 'pod_name']],
      ['its', ['kubernetes', 'labels', "it's"]],
    ]);
    expect(fields.map((field) => field.read(record, 't'))).toEqual(['warn', 'p-1', undefined]);
  });

  it.each([[[]], ['x'], [{ a: 1 }], [{ a: { b: [] } }]])('cannot be %j', (map) => {
    expect(() => labelMapFields(map)).toThrow(FieldSyntaxError);
  });
});
