// Skein from Node.js, by a Flight SQL client of npm.
//
//   npm ci --ignore-scripts
//   node quickstart.mjs [HOST:PORT [USER PASSWORD]]

import { FlightSQLClient } from "@gizmodata/gizmosql-client";

const [address = "127.0.0.1:8815", username, password] = process.argv.slice(2);
const colon = address.lastIndexOf(":");
const db = new FlightSQLClient({
  host: address.slice(0, colon),
  port: Number(address.slice(colon + 1)),
  plaintext: true, // without it, TLS
  username,
  password,
});

// update runs a statement that returns no rows. When it has run, there is
// nothing to read, which the client takes for an error.
async function update(sql) {
  try {
    await db.execute(sql);
  } catch (e) {
    if (!e.message.endsWith("No endpoints returned from query")) throw e;
  }
}

// text is a value as SQL writes it: the client binds no parameters.
const text = (value) => `'${value.replaceAll("'", "''")}'`;

try {
  await update("CREATE OR REPLACE TABLE example_node AS SELECT 'Oslo' AS city, 3.2::DOUBLE AS km");

  // All rows of a statement are stored, or none.
  const trips = [["Lima", 11], ["L'Aquila", 5.5], ["Pune", 8]];
  await update(`INSERT INTO example_node VALUES ${trips.map(([city, km]) => `(${text(city)}, ${km})`)}`);

  // Rows.
  const far = await db.execute(`SELECT city, km FROM example_node WHERE km > 4 AND city <> ${text("Pune")} ORDER BY km`);
  for (const { city, km } of far) console.log(city, km);

  // Columns: 64-bit integers are BigInts.
  const numbers = await db.execute("SELECT range AS n FROM range(100000)");
  const total = numbers.getChild("n").toArray().reduce((sum, n) => sum + n, 0n);
  console.log("read", numbers.numRows, "rows, their sum is", total);

  // What is wrong with a statement.
  await db.execute("SELECT no_such_column FROM example_node").catch((e) => console.log(e.message.split("\n")[0]));

  // Which tables there are.
  for (const t of await db.getTables("skein", "main", "example\\_node")) console.log(`${t.catalog}.${t.schema}.${t.tableName}`);
  await update("DROP TABLE example_node");
} finally {
  await db.close();
}
