import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instance } from '../src/registry/instance.js';
import { Services } from '../src/registry/services.js';
import { instanceOf, PLAIN } from './harness.js';

const IDS = ['', 'a', 'b'];
const KEYS = ['web', 'web-2', 'mail'];

function create(key: string, instance: string, revision: number, generation: number): Instance {
  const times = { at: 0, registered: 0, ttl: 1000, expiresAt: 0 };
  const body = `"values":"${'x'.repeat(revision)}"`;
  return instanceOf({ kind: 'register', revision, key, instance, generation, body, ...times, ...PLAIN });
}

test('a service is the same whether one instance stands for it or a group: what plain maps hold', () => {
  const step = fc.record({ do: fc.constantFrom('set', 'remove'), key: fc.constantFrom(...KEYS), id: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const services = new Services();
      const model = new Map<string, { instances: Map<string, Instance>; revision: number }>();
      steps.forEach(({ do: action, key, id: at }, index) => {
        const id = IDS[at] ?? '';
        const revision = index + 1;
        const service = model.get(key) ?? { instances: new Map<string, Instance>(), revision };
        const old = service.instances.get(id);
        if (action === 'set') {
          const instance = create(key, id, revision, old?.generation ?? revision);
          if (old === undefined) services.add(instance);
          else services.replace(old, instance);
          service.instances.set(id, instance);
          model.set(key, service);
        } else if (old !== undefined) {
          service.instances.delete(id);
          expect(services.remove(old, revision)).toBe(service.instances.size > 0);
          if (service.instances.size === 0) model.delete(key);
        } else return;
        service.revision = revision;
      });

      expect(services.size).toBe(model.size);
      for (const key of KEYS) {
        const { instances, revision } = model.get(key) ?? { instances: new Map<string, Instance>() };
        expect([...services.instancesOf(key)]).toEqual([...instances.values()]);
        expect(services.lastChangeOf(key)).toBe(revision);
        expect(services.recordBytesOf(key)).toBe(
          [...instances.values()].reduce((sum, { recordBytes }) => sum + recordBytes, 0),
        );
        for (const id of IDS) expect(services.find(key, id)).toBe(instances.get(id));
      }
      const under = [...model].filter(([key]) => key.startsWith('web')).flatMap(([, { instances }]) => [...instances]);
      expect(new Set(services.instancesUnder('web'))).toEqual(new Set(under.map(([, instance]) => instance)));
    }),
  );
});
