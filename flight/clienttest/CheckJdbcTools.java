// Checks what tools do through the Flight SQL JDBC driver: the types of
// docs/clients/types.md, changes and batches, cancellation, and the calls that
// DBeaver, Tableau and Power BI make when they connect and draw.
//
//   java --add-opens=java.base/java.nio=ALL-UNNAMED -cp DRIVER.jar CheckJdbcTools.java TYPES.md HOST:PORT [USER PASSWORD]
//
// It makes and drops tables of its own, whose names begin with "tools_". It
// prints one line for each check and ends with 1 if any failed.

import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;

public class CheckJdbcTools {
    static int passed, failed;

    interface Check {
        void run() throws Throwable;
    }

    static void check(String name, Check c) {
        try {
            c.run();
            passed++;
            System.out.println("ok    " + name);
        } catch (Throwable t) {
            failed++;
            StringBuilder why = new StringBuilder(t.toString());
            for (Throwable x = t.getCause(); x != null; x = x.getCause()) why.append(" <- ").append(x);
            System.out.println("FAIL  " + name + ": " + why);
        }
    }

    static void equal(Object got, Object want) {
        if (!Objects.deepEquals(got, want)) throw new AssertionError("got " + got + ", want " + want);
    }

    static void that(boolean ok, String what) {
        if (!ok) throw new AssertionError(what);
    }

    static void refused(Check c) throws Throwable {
        try {
            c.run();
        } catch (SQLException e) {
            return;
        }
        throw new AssertionError("no error");
    }

    static List<String> column(ResultSet rs, String name) throws SQLException {
        List<String> values = new ArrayList<>();
        try (rs) {
            while (rs.next()) values.add(rs.getString(name));
        }
        return values;
    }

    static List<List<Object>> rows(Connection c, String sql) throws SQLException {
        List<List<Object>> all = new ArrayList<>();
        try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery(sql)) {
            while (rs.next()) {
                List<Object> row = new ArrayList<>();
                for (int i = 1; i <= rs.getMetaData().getColumnCount(); i++) row.add(rs.getObject(i));
                all.add(row);
            }
        }
        return all;
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        if (args.length > 3) {
            p.put("user", args[2]);
            p.put("password", args[3]);
        }
        String url = "jdbc:arrow-flight-sql://" + args[1] + "/?useEncryption=false";
        try (Connection c = DriverManager.getConnection(url, p)) {
            drop(c);
            types(c, Path.of(args[0]));
            unsigned(c);
            changes(c);
            reading(c);
            cancellation(c);
            dbeaver(c);
            tableau(c);
            powerBI(c);
            drop(c);
        }
        check("a session's parallel endpoints", () -> {
            try (Connection c = DriverManager.getConnection(url + "&skein-endpoints=parallel", p)) {
                equal(rows(c, "SELECT count(*) FROM range(1000)"), List.of(List.of(1000L)));
            }
        });
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }

    static void drop(Connection c) throws SQLException {
        for (String t : List.of("tools_rows", "tools_made", "tools_unsigned", "tools_orders")) {
            try (Statement s = c.createStatement()) {
                s.executeUpdate("DROP TABLE IF EXISTS " + t);
            }
        }
    }

    // Each row of the page's first table is a check.
    static void types(Connection c, Path page) throws Exception {
        Map<Integer, String> names = new HashMap<>();
        for (var f : Types.class.getFields()) names.put(f.getInt(null), f.getName());
        String text = Files.readString(page).split("## From SQL to clients\n")[1].split("\n## ")[0];
        List<String> lines = text.lines().filter(x -> x.startsWith("| ")).skip(2).toList();
        that(lines.size() > 35, "rows of " + page);
        for (String line : lines) {
            String[] cell = line.substring(2, line.length() - 2).split(" \\| ");
            String sql = "SELECT " + cell[1].replace("`", "") + " AS v";
            check("type " + cell[0], () -> {
                if (cell[3].equals("refused")) {
                    refused(() -> rows(c, sql));
                    return;
                }
                try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery(sql)) {
                    that(rs.next(), "no row");
                    equal(names.get(rs.getMetaData().getColumnType(1)), cell[3]);
                    rs.getString(1);
                    String want = cell[4].replace("`", "");
                    if (want.equals("refused")) {
                        try {
                            rs.getObject(1);
                        } catch (RuntimeException e) {
                            return;
                        }
                        throw new AssertionError("getObject works now: tell so");
                    }
                    Object v = rs.getObject(1);
                    that(isA(v, want), v == null ? "null" : v.getClass().toString());
                }
            });
        }
    }

    static boolean isA(Object v, String name) {
        if (v == null) return name.equals("null");
        if (name.equals("byte[]")) return v instanceof byte[];
        return switch (name) {
            case "Map" -> v instanceof Map;
            case "Array" -> v instanceof java.sql.Array;
            case "Time" -> v instanceof Time;
            default -> v.getClass().getSimpleName().equals(name);
        };
    }

    static void unsigned(Connection c) {
        String values = "255::UTINYINT AS a, 65535::USMALLINT AS b, 4294967295::UINTEGER AS c, 18446744073709551615::UBIGINT AS d";
        List<List<Object>> want = List.of(List.of((short) 255, 65535, 4294967295L, new BigDecimal("18446744073709551615")));
        check("unsigned integers are not negative", () -> equal(rows(c, "SELECT " + values), want));
        check("nor are they in prepared statements", () -> {
            try (PreparedStatement s = c.prepareStatement("SELECT " + values); ResultSet rs = s.executeQuery()) {
                equal(s.getMetaData().getColumnType(1), Types.SMALLINT);
                that(rs.next(), "no row");
                equal(rs.getInt(1), 255);
                equal(rs.getLong(3), 4294967295L);
                equal(rs.getBigDecimal(4), new BigDecimal("18446744073709551615"));
            }
        });
        check("nor in tables", () -> {
            try (Statement s = c.createStatement()) {
                s.executeUpdate("CREATE TABLE tools_unsigned AS SELECT " + values);
            }
            equal(rows(c, "SELECT * FROM tools_unsigned"), want);
            List<String> types = column(c.getMetaData().getColumns(null, null, "tools\\_unsigned", "%"), "DATA_TYPE");
            equal(types, List.of("" + Types.SMALLINT, "" + Types.INTEGER, "" + Types.BIGINT, "" + Types.DECIMAL));
        });
        check("nor in parameters", () -> {
            try (PreparedStatement s = c.prepareStatement("SELECT CAST(? AS UTINYINT) AS a, CAST(? AS UINTEGER) AS b")) {
                s.setShort(1, (short) 200);
                s.setLong(2, 4000000000L);
                try (ResultSet rs = s.executeQuery()) {
                    that(rs.next(), "no row");
                    equal(rs.getInt(1), 200);
                    equal(rs.getLong(2), 4000000000L);
                }
            }
        });
        check("unsigned integers and ENUM within lists and structs", () -> {
            List<List<Object>> got = rows(c, "SELECT {'u': [255::UTINYINT, NULL], 'e': 'b'::ENUM('a', 'b')} AS s");
            equal(got.get(0).get(0).toString(), "{\"u\":[255,null],\"e\":\"b\"}");
            try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT ['b'::ENUM('a', 'b'), NULL, 'a'::ENUM('a', 'b')] AS l, MAP {'k': 7::UBIGINT} AS m")) {
                that(rs.next(), "no row");
                equal(rs.getString(1), "[\"b\",null,\"a\"]");
                that(rs.getString(2).contains("7"), rs.getString(2));
            }
        });
    }

    static void changes(Connection c) {
        check("INSERT counts its rows", () -> {
            try (Statement s = c.createStatement()) {
                s.executeUpdate("CREATE TABLE tools_rows (n BIGINT, s VARCHAR, d DECIMAL(12,2), day DATE, moment TIMESTAMP)");
                equal(s.executeUpdate("INSERT INTO tools_rows (n, s) VALUES (1, 'a'), (2, NULL)"), 2);
            }
        });
        check("a batch of prepared rows", () -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO tools_rows VALUES (?, ?, ?, ?, ?)")) {
                for (int i = 10; i < 20; i++) {
                    s.setLong(1, i);
                    s.setString(2, "row " + i);
                    s.setBigDecimal(3, new BigDecimal("1.25"));
                    s.setDate(4, java.sql.Date.valueOf("2024-02-29"));
                    s.setTimestamp(5, Timestamp.valueOf("2024-02-29 01:02:03.456"));
                    s.addBatch();
                }
                int[] counts = s.executeBatch();
                that(counts.length >= 1, "no counts");
            }
            equal(rows(c, "SELECT count(*), sum(d), min(day), min(moment) FROM tools_rows WHERE n >= 10"), List.of(List.of(
                10L, new BigDecimal("12.50"), java.sql.Date.valueOf("2024-02-29"), Timestamp.valueOf("2024-02-29 01:02:03.456"))));
        });
        check("a prepared insert, row by row", () -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO tools_rows (n, s) VALUES (?, ?)")) {
                for (int i = 30; i < 33; i++) {
                    s.setLong(1, i);
                    s.setNull(2, Types.VARCHAR);
                    equal(s.executeUpdate(), 1);
                }
            }
            equal(rows(c, "SELECT count(*) FROM tools_rows WHERE n >= 30 AND s IS NULL"), List.of(List.of(3L)));
        });
        check("CREATE TABLE AS and INSERT SELECT", () -> {
            try (Statement s = c.createStatement()) {
                s.executeUpdate("CREATE TABLE tools_made AS SELECT n, s FROM tools_rows");
                equal(s.executeUpdate("INSERT INTO tools_made SELECT n + 100, s FROM tools_rows"), 15);
            }
            equal(rows(c, "SELECT count(*) FROM tools_made"), List.of(List.of(30L)));
        });
        check("a bad row of a batch leaves nothing", () -> {
            try (PreparedStatement s = c.prepareStatement("INSERT INTO tools_made SELECT CAST(? AS BIGINT), CAST(CAST(? AS VARCHAR) AS DATE)::VARCHAR")) {
                s.setLong(1, 5000);
                s.setString(2, "2024-01-01");
                s.addBatch();
                s.setLong(1, 5001);
                s.setString(2, "no date");
                s.addBatch();
                refused(s::executeBatch);
            }
            equal(rows(c, "SELECT count(*) FROM tools_made WHERE n >= 5000"), List.of(List.of(0L)));
        });
    }

    static void reading(Connection c) {
        check("getters convert", () -> {
            try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT 42::BIGINT AS n, '17' AS t, 1.5::DECIMAL(4,1) AS d")) {
                that(rs.next(), "no row");
                equal(rs.getInt("n"), 42);
                equal(rs.getString("n"), "42");
                equal(rs.getDouble("n"), 42.0);
                equal(rs.getBigDecimal("n"), new BigDecimal(42));
                equal(rs.getInt("t"), 17);
                equal(rs.getDouble("d"), 1.5);
                equal(rs.findColumn("d"), 3);
            }
        });
        check("ResultSetMetaData", () -> {
            try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT 1.25::DECIMAL(12,2) AS price, 'x' AS t")) {
                ResultSetMetaData m = rs.getMetaData();
                equal(m.getColumnName(1), "price");
                equal(m.getPrecision(1), 12);
                equal(m.getScale(1), 2);
                equal(m.getColumnTypeName(2), "VARCHAR");
                m.isNullable(1);
                m.isSigned(1);
                m.getColumnDisplaySize(1);
            }
        });
        check("the same label twice", () -> equal(rows(c, "SELECT 1 AS a, 2 AS a"), List.of(List.of(1, 2))));
        check("setMaxRows and setFetchSize do no harm", () -> {
            try (Statement s = c.createStatement()) {
                s.setFetchSize(1000);
                s.setMaxRows(10);
                try (ResultSet rs = s.executeQuery("SELECT range AS n FROM range(10)")) {
                    int n = 0;
                    while (rs.next()) n++;
                    equal(n, 10);
                }
            }
        });
        check("a wide result", () -> {
            StringBuilder sql = new StringBuilder("SELECT 0 AS c0");
            for (int i = 1; i < 1000; i++) sql.append(", ").append(i).append(" AS c").append(i);
            equal(rows(c, sql.toString()).get(0).get(999), 999);
        });
        check("large values", () -> {
            try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT repeat('x', 5000000) AS s FROM range(4)")) {
                while (rs.next()) equal(rs.getString(1).length(), 5000000);
            }
        });
        check("results of eight threads", () -> {
            ExecutorService pool = Executors.newFixedThreadPool(8);
            List<Future<Object>> got = new ArrayList<>();
            for (int i = 0; i < 40; i++) {
                int n = i;
                got.add(pool.submit(() -> rows(c, "SELECT " + n + " + count(*) FROM range(1000)").get(0).get(0)));
            }
            for (int i = 0; i < 40; i++) equal(got.get(i).get(), 1000L + i);
            pool.shutdown();
        });
    }

    static void cancellation(Connection c) {
        String endless = "SELECT a.range AS n FROM range(1000000) a, range(1000000) b";
        check("cancel ends a query", () -> {
            try (Statement s = c.createStatement()) {
                long began = System.nanoTime();
                ResultSet rs = s.executeQuery(endless);
                that(rs.next(), "no row");
                new Thread(() -> {
                    try {
                        Thread.sleep(200);
                        s.cancel();
                    } catch (Exception e) {
                        System.out.println("cancel: " + e);
                    }
                }).start();
                try {
                    while (rs.next() && System.nanoTime() - began < 20_000_000_000L) ;
                } catch (SQLException | RuntimeException e) { // that is how it ends
                }
                that(System.nanoTime() - began < 20_000_000_000L, "it was not cancelled");
            }
        });
        check("the connection works after a cancel", () -> equal(rows(c, "SELECT 1"), List.of(List.of(1))));
        check("a statement is closed in mid-stream", () -> {
            for (int i = 0; i < 10; i++) {
                try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery(endless)) {
                    that(rs.next(), "no row");
                }
            }
        });
    }

    // What DBeaver asks when it opens a connection, its tree and a table.
    static void dbeaver(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        check("DBeaver: connection", () -> {
            that(m.getDriverName() != null && m.getDriverVersion() != null && m.getURL() != null, "driver");
            m.getDatabaseMajorVersion();
            m.getDatabaseMinorVersion();
            m.getIdentifierQuoteString();
            m.storesUpperCaseIdentifiers();
            m.storesLowerCaseIdentifiers();
            m.supportsMixedCaseIdentifiers();
            m.getSQLKeywords();
            m.getNumericFunctions();
            m.getSystemFunctions();
            m.getTimeDateFunctions();
            m.supportsCatalogsInDataManipulation();
            m.supportsSchemasInDataManipulation();
            m.getCatalogSeparator();
            m.getMaxColumnsInTable();
            that(c.isValid(5), "not valid");
            c.getCatalog();
            c.getSchema();
            c.getTransactionIsolation();
            c.getWarnings();
            c.clearWarnings();
        });
        check("DBeaver: tree", () -> {
            that(column(m.getCatalogs(), "TABLE_CAT").contains("skein"), "catalog");
            that(column(m.getSchemas("skein", null), "TABLE_SCHEM").contains("main"), "schema");
            that(column(m.getTables("skein", "main", "%", null), "TABLE_NAME").contains("tools_rows"), "table");
        });
        check("DBeaver: table", () -> {
            equal(column(m.getColumns("skein", "main", "tools\\_rows", "%"), "COLUMN_NAME"), List.of("n", "s", "d", "day", "moment"));
            column(m.getPrimaryKeys("skein", "main", "tools_rows"), "COLUMN_NAME");
            column(m.getImportedKeys("skein", "main", "tools_rows"), "FKCOLUMN_NAME");
            for (ResultSet rs : new ResultSet[] {m.getIndexInfo("skein", "main", "tools_rows", false, true), m.getProcedures("skein", "main", "%"),
                m.getFunctions("skein", "main", "%"), m.getBestRowIdentifier("skein", "main", "tools_rows", 0, true)}) {
                if (rs != null) rs.close();
            }
        });
        check("DBeaver: data", () -> {
            equal(rows(c, "SELECT x.* FROM skein.main.tools_rows x LIMIT 5 OFFSET 0").size(), 5);
            equal(rows(c, "SELECT count(*) FROM skein.main.tools_rows"), List.of(List.of(15L)));
        });
        check("DBeaver: filter and order of a grid", () ->
            equal(rows(c, "SELECT * FROM (SELECT * FROM tools_rows) z_q WHERE n > 15 ORDER BY n DESC LIMIT 200").size(), 7));
    }

    // What Tableau sends by its JDBC connector.
    static void tableau(Connection c) throws SQLException {
        check("Tableau: connection", () -> {
            equal(rows(c, "SELECT 1"), List.of(List.of(1)));
            DatabaseMetaData m = c.getMetaData();
            m.supportsResultSetConcurrency(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY);
            m.getMaxTableNameLength();
            m.supportsOuterJoins();
            m.supportsLimitedOuterJoins();
            m.nullsAreSortedAtEnd();
            m.getExtraNameCharacters();
        });
        check("Tableau: columns by an empty query", () -> {
            try (PreparedStatement s = c.prepareStatement("SELECT * FROM (SELECT * FROM \"main\".\"tools_rows\") \"TableauSQL\" LIMIT 0")) {
                equal(s.getMetaData().getColumnCount(), 5);
                that(!s.executeQuery().next(), "a row");
            }
        });
        check("Tableau: an aggregate of a sheet", () -> {
            try (Statement s = c.createStatement()) {
                s.executeUpdate("CREATE TABLE tools_orders AS SELECT range AS n, CASE range % 2 WHEN 0 THEN 'east' ELSE 'west' END AS region, DATE '2024-01-01' + CAST(range AS INTEGER) AS day, range * 1.5 AS sales FROM range(100)");
            }
            List<List<Object>> got = rows(c, "SELECT \"tools_orders\".\"region\" AS \"region\", SUM(\"tools_orders\".\"sales\") AS \"sum:sales:ok\", "
                + "DATE_TRUNC('MONTH', CAST(\"tools_orders\".\"day\" AS TIMESTAMP)) AS \"tmn:day:ok\" FROM \"main\".\"tools_orders\" \"tools_orders\" "
                + "WHERE (\"tools_orders\".\"day\" >= DATE '2024-01-01') GROUP BY 1, 3 ORDER BY 1, 3");
            equal(got.size(), 8);
            equal(got.get(0).get(0), "east");
        });
        check("Tableau: the members of a filter", () ->
            equal(rows(c, "SELECT \"region\" AS \"region\", COUNT(1) AS \"c\" FROM \"main\".\"tools_orders\" GROUP BY 1 HAVING (COUNT(1) > 0) ORDER BY 1 ASC").size(), 2));
        check("Tableau: a join of two sources", () ->
            equal(rows(c, "SELECT COUNT(DISTINCT \"a\".\"n\") FROM \"main\".\"tools_orders\" \"a\" LEFT JOIN \"main\".\"tools_rows\" \"b\" ON (\"a\".\"n\" = \"b\".\"n\")"),
                List.of(List.of(100L))));
    }

    // What Power BI's gateway sends by a JDBC or ODBC bridge.
    static void powerBI(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        check("Power BI: navigation", () -> {
            equal(column(m.getTables(null, "main", "tools\\_orders", new String[] {"TABLE", "VIEW", "SYSTEM TABLE"}), "TABLE_NAME"), List.of("tools_orders"));
            List<String> nullable = column(m.getColumns(null, "main", "tools\\_orders", null), "IS_NULLABLE");
            equal(nullable, List.of("YES", "YES", "YES", "YES"));
            try (ResultSet rs = m.getTypeInfo()) {
                that(rs != null, "no type info");
            }
        });
        check("Power BI: preview", () ->
            equal(rows(c, "select \"$Table\".\"n\" as \"n\", \"$Table\".\"region\" as \"region\" from \"skein\".\"main\".\"tools_orders\" \"$Table\" limit 20").size(), 20));
        check("Power BI: a visual of direct query", () -> {
            String sql = "select \"rows\".\"region\" as \"region\", sum(\"rows\".\"sales\") as \"a0\" from (select \"region\", \"sales\" from \"skein\".\"main\".\"tools_orders\" \"$Table\") \"rows\" "
                + "group by \"region\" order by \"a0\" desc limit 1001";
            equal(rows(c, sql).size(), 2);
        });
        check("Power BI: least and greatest of a slicer", () ->
            equal(rows(c, "select min(\"day\") as \"a0\", max(\"day\") as \"a1\" from \"skein\".\"main\".\"tools_orders\""),
                List.of(List.of(java.sql.Date.valueOf("2024-01-01"), java.sql.Date.valueOf("2024-04-09")))));
        check("Power BI: information_schema", () -> {
            List<List<Object>> got = rows(c, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' AND table_name = 'tools_orders'");
            equal(got, List.of(List.of("tools_orders")));
        });
    }
}
