/**
 * A service with several instances, each with labels, and a caller that chooses among them.
 *
 *     node examples/03-many-instances.js
 */

import { connect } from '@reg/client';

const client = connect(process.env.REG_ADDR ?? 'reg://127.0.0.1:6734');
await client.register('search', '10.0.1.1:80', { instance: 'a', tags: ['v2'], meta: { zone: 'east' } });
await client.register('search', '10.0.1.2:80', { instance: 'b', tags: ['v2'], meta: { zone: 'west' } });
await client.register('search', '10.0.1.3:80', { instance: 'c', tags: ['v1'], meta: { zone: 'east' } });

const { services } = await client.query('search');
const suitable = services.filter(({ tags, meta }) => tags?.includes('v2') && meta?.zone === 'east');
console.log(`${services.length} instances, of which I call ${suitable.map(({ values }) => values)}`);

const { removed } = await client.destroy('search', { instance: '*' });
console.log(`${removed} removed at once`);
await client.close();

// Prints:
// 3 instances, of which I call 10.0.1.1:80
// 3 removed at once
