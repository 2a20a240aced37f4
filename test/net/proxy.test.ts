import { describe, expect, it } from 'vitest';
import { proxyFromEnvironment, shownUrl } from '../../src/net/proxy.ts';

describe('proxyFromEnvironment', () => {
  const proxyFor = (url: string, exceptions: string): string | undefined =>
    proxyFromEnvironment(new URL(url), {
      HTTP_PROXY: 'http://plain:1',
      https_proxy: 'secure:2',
      no_proxy: exceptions,
    });

  it('knows a proxy per scheme; one without scheme is plain HTTP', () => {
    expect(proxyFor('http://example.com', '')).toBe('http://plain:1');
    expect(proxyFor('https://example.com', '')).toBe('http://secure:2');
    expect(
      proxyFromEnvironment(new URL('https://example.com'), { HTTP_PROXY: 'http://plain:1' }),
    ).toBeUndefined();
    expect(proxyFromEnvironment(new URL('http://example.com'), { HTTP_PROXY: '' })).toBeUndefined();
  });

  it.each([
    ['http://example.com', 'example.com'],
    ['http://sub.example.com', 'example.com'],
    ['http://sub.example.com', 'other.org, .example.com'],
    ['http://sub.example.com', '*.example.com'],
    ['http://EXAMPLE.com', 'Example.COM'],
    ['http://example.com:8080', 'example.com:8080'],
    ['https://example.com', 'example.com:443'],
    ['http://anything', '*'],
    ['http://10.0.0.1', '10.0.0.1'],
    ['http://[::1]:9200', '::1'],
    ['http://[::1]:9200', '[::1]'],
    ['http://[::1]:9200', '[::1]:9200'],
  ])('%s is excepted by %s', (url, exceptions) => {
    expect(proxyFor(url, exceptions)).toBeUndefined();
  });

  it.each([
    ['http://notexample.com', 'example.com'],
    ['http://example.com:8080', 'example.com:9090'],
    ['http://example.com', 'sub.example.com'],
    ['http://[::2]', '::1'],
    ['http://example.com', ' , '],
  ])('%s is not excepted by %s', (url, exceptions) => {
    expect(proxyFor(url, exceptions)).toBe('http://plain:1');
  });
});

describe('shownUrl', () => {
  it('leaves user and password out', () => {
    expect(shownUrl('http://user:pass@host:80/x?y=1')).toBe('http://host/x?y=1');
    expect(shownUrl('http://token@host:3128')).toBe('http://host:3128');
  });
});
