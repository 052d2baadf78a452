// What people type for an address and port: every wrong form gets one sentence of its own and exit code 2.
import { expect, test } from 'vitest';
import { formatAddressPort, parseAddressFilter, parseAddressPort } from '../../src/cli/address-port.js';
import { CliError, EXIT } from '../../src/cli/exit.js';
import { parsePod } from '../../src/cli/options.js';

test.each([
  ['203.0.113.7:40123', { address: '203.0.113.7', port: 40123 }],
  ['203.0.113.7:0', { address: '203.0.113.7', port: 0 }],
  ['[2001:db8::7]:40123', { address: '2001:db8::7', port: 40123 }],
  ['[2001:DB8:0::7]:1', { address: '2001:db8::7', port: 1 }],
  ['[::ffff:192.0.2.1]:80', { address: '192.0.2.1', port: 80 }],
])('%s is an address with a port', (text, parsed) => {
  expect(parseAddressPort(text)).toEqual(parsed);
});

test.each([
  ['', 'the address is empty: write ADDR:PORT, for IPv6 [ADDR]:PORT'],
  ['203.0.113.7', "'203.0.113.7' has no port: write 203.0.113.7:PORT"],
  ['2001:db8::7', "'2001:db8::7' has no port: write [2001:db8::7]:PORT"],
  ['[2001:db8::7]', "'[2001:db8::7]' has no port: write [2001:db8::7]:PORT"],
  ['[2001:db8::7', "'[2001:db8::7' has no closing bracket: write [ADDR]:PORT"],
  ['[2001:db8::7]80', "'[2001:db8::7]80' has '80' after the bracket: write [2001:db8::7]:PORT"],
  ['[203.0.113.7]:80', "'[203.0.113.7]:80' has brackets around something that is not an IPv6 address"],
  [':80', "':80' has no address before the port"],
  ['203.0.113.7:', "'' in '203.0.113.7:' is not a port: a port is a number from 0 to 65535"],
  ['203.0.113.7:http', "'http' in '203.0.113.7:http' is not a port: a port is a number from 0 to 65535"],
  ['203.0.113.7:65536', "'65536' in '203.0.113.7:65536' is not a port: a port is a number from 0 to 65535"],
  ['203.0.113.7:-1', "'-1' in '203.0.113.7:-1' is not a port: a port is a number from 0 to 65535"],
  ['203.0.113.256:80', "'203.0.113.256' is not an IP address"],
  ['web.example:80', "'web.example' is not an IP address"],
  ['203.0.113.0/24:80', "'203.0.113.0/24' is not an IP address"],
  ['2001:db8::g', "'2001:db8::g' is not an IP address; an IPv6 address with a port is written [ADDR]:PORT"],
  ['[fe80::1%eth0]:80', "'fe80::1%eth0' is not an IP address; an IPv6 address with a port is written [ADDR]:PORT"],
])("'%s' is refused", (text, sentence) => {
  const parse = () => parseAddressPort(text);
  expect(parse).toThrow(new CliError(EXIT.usage, sentence));
  expect(parse).toThrow(expect.objectContaining({ exitCode: 2 }));
});

test('a filter may leave the port out', () => {
  expect(parseAddressFilter('2001:db8::7')).toEqual({ address: '2001:db8::7' });
  expect(parseAddressFilter('192.0.2.1')).toEqual({ address: '192.0.2.1' });
  expect(() => parseAddressFilter('nonsense')).toThrow("'nonsense' is not an IP address");
});

test.each(['203.0.113.7:40123', '[2001:db8::7]:1', '192.0.2.1', '2001:db8::1'])('%s prints as it is read', (text) => {
  expect(formatAddressPort(parseAddressFilter(text))).toBe(text);
});

test('a pod is namespace/name, or a name in the namespace that is given', () => {
  expect(parsePod('shop/web-0')).toEqual({ namespace: 'shop', name: 'web-0' });
  expect(parsePod('web-0', 'shop')).toEqual({ namespace: 'shop', name: 'web-0' });
  expect(parsePod('web-0')).toEqual({ namespace: 'default', name: 'web-0' });
});

test.each(['', '/web', 'shop/', 'a/b/c'])("'%s' is no pod", (text) => {
  expect(() => parsePod(text)).toThrow(`'${text}' is not a pod: write NAMESPACE/NAME`);
});
