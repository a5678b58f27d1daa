/** A small authority of one's own: it signs the certificate of a registry, and those of clients where they need one. */

import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
// What the library's container of parts looks for when it is loaded.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key, as PEM. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

/** Whoever has read the certificate of an authority trusts what it signs, so it is to last; a leaf is made anew easily. */
const AUTHORITY_DAYS = 3650;
/** The most that Apple's systems take. */
const LEAF_DAYS = 825;
const DAY_MS = 86_400_000;
/** X.509 has no longer common names. Clients go by the alternative names, which may be longer. */
export const COMMON_NAME_LENGTH = 64;
/** Clocks differ: a certificate is good from some time before it was made. */
const CLOCK_SKEW_MS = 3_600_000;
const KEYS = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** @param now ms since the Unix epoch. */
export async function makeAuthority(name: string, now: number): Promise<Identity> {
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      ...validity(now, AUTHORITY_DAYS),
      name: [{ CN: [name] }],
      keys,
      signingAlgorithm: SIGNING,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

/** A certificate for a server that is reached under `hosts`, names or addresses; at least one. */
export function issueServer(authority: Identity, hosts: readonly string[], now: number): Promise<Identity> {
  const names = hosts.map((host) => ({ type: isIP(host) ? 'ip' : 'dns', value: host }) as const);
  const name = hosts.find(({ length }) => length <= COMMON_NAME_LENGTH) ?? 'registry';
  return issue(authority, name, now, [
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension(names),
  ]);
}

/** A certificate for a client: `name` is who it is to the registry. */
export function issueClient(authority: Identity, name: string, now: number): Promise<Identity> {
  return issue(authority, name, now, [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])]);
}

async function issue(authority: Identity, name: string, now: number, uses: x509.Extension[]): Promise<Identity> {
  const keys = await makeKeys();
  const issuer = new x509.X509Certificate(authority.certificate);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      ...validity(now, LEAF_DAYS),
      subject: [{ CN: [name] }],
      issuer: issuer.subjectName,
      publicKey: keys.publicKey,
      signingKey: await importKey(authority.key),
      signingAlgorithm: SIGNING,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...uses,
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(issuer, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate: certificate.toString('pem'), key: await exportKey(keys.privateKey) };
}

function validity(now: number, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now - CLOCK_SKEW_MS), notAfter: new Date(now + days * DAY_MS) };
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEYS, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  if (der === undefined) throw new TypeError('the authority has no private key');
  return webcrypto.subtle.importKey('pkcs8', der, KEYS, false, ['sign']);
}
