// Checks of Skein through the npm client that docs/clients/node.md tells about.
//
//   node node.mjs EXAMPLES/package.json PAGE HOST:PORT [USER PASSWORD]

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const [examples, page, address, username, password] = process.argv.slice(2);
const { FlightSQLClient } = createRequire(resolve(examples))("@gizmodata/gizmosql-client");
const [host, port] = address.split(":");
const connect = (login) => new FlightSQLClient({ host, port: Number(port), plaintext: true, ...login });
const db = connect({ username, password });

const rows = async (sql) => (await db.execute(sql)).toArray().map((row) => Object.values(row.toJSON()));

// change runs a statement without rows, after which the client misses an
// endpoint to read.
const change = (sql) => db.execute(sql).catch((e) => assert.match(e.message, /No endpoints returned from query$/));

const checks = {
  async "values are as the page tells"() {
    const told = readFileSync(page, "utf8").split("\n").map((line) => line.split("|").map((s) => s.trim().replace(/^`|`$/g, "")))
      .filter((cells) => cells.length === 6 && !/^(type|---)$/.test(cells[1]));
    assert.ok(told.length >= 18, `${told.length} rows in ${page}`);
    for (const [, type, sql, name, text] of told) {
      const [[value]] = await rows(`SELECT ${sql} AS value`);
      assert.deepEqual([Object(value).constructor.name, String(value)], [name, text], type);
    }
  },

  async "a timestamp and a decimal are what they were"() {
    const table = await db.execute("SELECT TIMESTAMP '2024-02-29 01:02:03.456789' AS t, epoch_us(t) AS us, (-1.5)::DECIMAL(4,1) AS d");
    const { t, us, d } = table.get(0);
    assert.equal(new Date(t).toISOString(), "2024-02-29T01:02:03.456Z");
    assert.equal(us, 1709168523456789n);
    assert.equal(Number(String(d)) / 10 ** table.getChild("d").type.scale, -1.5);
  },

  async "nulls and text"() {
    assert.deepEqual(await rows("SELECT NULL::BIGINT, NULL::DOUBLE, NULL::VARCHAR, NULL::TIMESTAMP, '', 'text 你好 ''quoted'''"),
      [[null, null, null, null, "", "text 你好 'quoted'"]]);
  },

  async "a result without rows has its columns"() {
    const table = await db.execute("SELECT 1::BIGINT AS n, 'x' AS s WHERE false");
    assert.equal(table.numRows, 0);
    assert.deepEqual(table.schema.fields.map(String), ["n: Int64", "s: Utf8"]);
  },

  async "a million rows"() {
    const table = await db.execute("SELECT range AS n, repeat('x', 20) || range AS s FROM range(1000000)");
    assert.equal(table.numRows, 1000000);
    const n = table.getChild("n").toArray();
    assert.ok(n.every((value, i) => value === BigInt(i)));
    assert.equal(table.getChild("s").get(999999), "x".repeat(20) + "999999");
  },

  async "many queries at once"() {
    const many = Array.from({ length: 32 }, (_, i) => i);
    assert.deepEqual((await Promise.all(many.map((i) => rows(`SELECT ${i}::INTEGER`)))).flat(2), many);
  },

  async "changes take effect"() {
    await change("CREATE OR REPLACE TABLE checks_node AS SELECT 'O''Hara' AS name, 1::BIGINT AS n");
    await change("INSERT INTO checks_node VALUES ('你好', 2), ('', NULL)");
    assert.deepEqual(await rows("SELECT * FROM checks_node ORDER BY n NULLS LAST"), [["O'Hara", 1n], ["你好", 2n], ["", null]]);
  },

  async "metadata"() {
    assert.deepEqual(await db.getCatalogs(), ["skein"]);
    assert.deepEqual(await db.getSchemas("skein"), [{ catalog: "skein", schema: "main" }]);
    assert.ok((await db.getTableTypes()).includes("TABLE"));
    assert.deepEqual(await db.getTables("skein", "main", "checks\\_nod_", ["TABLE"]),
      [{ catalog: "skein", schema: "main", tableName: "checks_node", tableType: "TABLE" }]);
    assert.deepEqual(await db.getTables("another"), []);
    assert.equal((await db.getSqlInfo([0])).get(0), "Skein");
    assert.ok((await db.getSqlInfo()).size > 20);
  },

  async "a panel of Grafana"() {
    await change("CREATE OR REPLACE TABLE metrics AS SELECT 'd' || range % 2 AS id, TIMESTAMPTZ '2024-05-01 00:00:00+00' + range * INTERVAL '10 seconds' AS \"timestamp\", range AS value FROM range(60)");
    const panel = readFileSync(resolve(page, "..", "tools.md"), "utf8").match(/```sql\n(SELECT [^`]*\$__timeFrom[^`]*)```/)[1];
    for (const write of [(t) => `'${t}'`, (t) => `cast('${t}' as timestamp)`]) { // both data sources' macros
      const table = await db.execute(panel.replace("$__timeFrom", write("2024-05-01T00:00:00Z")).replace("$__timeTo", write("2024-05-01T00:04:59Z")));
      assert.deepEqual(table.schema.fields.map(String), ["time: Timestamp<NANOSECOND>", "id: Utf8", "value: Float64"]);
      assert.equal(table.numRows, 10);
      assert.equal(table.getChild("time").get(0), Date.UTC(2024, 4, 1));
    }
    await change("DROP TABLE metrics");
  },

  async "errors say what is wrong, and the next query runs"() {
    for (const [sql, message] of [
      ["SELEC 1", /syntax error at or near "SELEC"/],
      ["SELECT no_such FROM checks_node", /Referenced column "no_such" not found/],
      ["SELECT * FROM no_such", /no_such/],
      ["SELECT ?", /parameter/],
      ["SELECT range, if(range = 500000, error('too late'), 0) FROM range(1000000)", /too late/],
      ["SELECT '01:02:03+02'::TIMETZ AS v", /cast it to VARCHAR/],
      ["", /empty|no statement/i],
    ]) {
      await assert.rejects(db.execute(sql), (e) => e.name === "FlightSQLError" && message.test(e.message), sql);
      assert.deepEqual(await rows("SELECT 1::INTEGER"), [[1]]);
    }
  },

  async "a wrong password"() {
    if (!username) return; // an open server asks for none
    const other = connect({ username, password: "not " + password });
    await assert.rejects(other.execute("SELECT 1"), /wrong user name, password or token$/);
    await other.close();
  },

  async "the table goes"() {
    await change("DROP TABLE checks_node");
    assert.deepEqual(await db.getTables("skein", "main", "checks\\_node"), []);
  },
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  try {
    await check();
    console.log("ok", name);
  } catch (e) {
    failed++;
    console.log("FAILED", name, e);
  }
}
await db.close();
console.log(`${Object.keys(checks).length} checks, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
