import { Client } from 'pg';
import { notify } from 'pgwatch';

const [item = 'lamp'] = process.argv.slice(2);
const client = new Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
try {
  await client.query('begin');
  const insert = 'insert into orders (item) values ($1) returning *';
  const { rows } = await client.query(insert, [item]);
  await notify(client, 'orders.created', rows[0]);
  await client.query('commit');
} finally {
  await client.end();
}
