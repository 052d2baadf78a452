// Addresses are read as text and written as the same text, and what is none is refused.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AddressError, addressBytes, formatAddress, parseAddress } from '../../src/model/address.js';

test('IPv4: the four numbers are the last bytes, and are written as they were read', () => {
  fc.assert(
    fc.property(fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)), (numbers) => {
      const text = numbers.join('.');
      expect([...addressBytes(text)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...numbers]);
      expect(formatAddress(addressBytes(text))).toBe(text);
    }),
  );
});

test('IPv6 and mapped addresses', () => {
  expect(parseAddress('2001:DB8:0::1')).toBe('2001:db8::1');
  expect(parseAddress('::ffff:192.0.2.1')).toBe('192.0.2.1');
  expect([...addressBytes('::1')]).toEqual([...Array<number>(15).fill(0), 1]);
});

test.each([
  '',
  '1.2.3',
  '1.2.3.4.',
  '.1.2.3',
  '1..2.3',
  '256.1.1.1',
  '1.2.3.4.5',
  '01.2.3.4',
  '1.2.3.4 ',
  '1.2.3.x',
  '1',
])("'%s' is no address", (text) => {
  expect(() => addressBytes(text)).toThrow(AddressError);
});
