// Checks a running server with the Flight SQL JDBC driver.
//
//   java --add-opens=java.base/java.nio=ALL-UNNAMED -cp DRIVER.jar CheckJdbc.java HOST:PORT [USER PASSWORD]
//
// It makes and drops tables of its own, whose names begin with "jdbc_". It
// prints one line for each check and ends with 1 if any failed.

import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

public class CheckJdbc {
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
        if (!Objects.equals(got, want)) throw new AssertionError("got " + got + ", want " + want);
    }

    static void that(boolean ok, String what) {
        if (!ok) throw new AssertionError(what);
    }

    static SQLException refused(Check c) throws Throwable {
        try {
            c.run();
        } catch (SQLException e) {
            return e;
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

    static String url(String address, String more) {
        return "jdbc:arrow-flight-sql://" + address + "/?useEncryption=false" + more;
    }

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        if (args.length > 2) {
            p.put("user", args[1]);
            p.put("password", args[2]);
        }
        try (Connection c = DriverManager.getConnection(url(args[0], ""), p)) {
            drop(c);
            statements(c);
            metadata(c);
            columns(c);
            prepared(c);
            updates(c);
            types(c);
            instants(c);
            drop(c);
        }
        connections(args[0], p, args.length > 2);
        System.out.println(passed + " passed, " + failed + " failed");
        System.exit(failed == 0 ? 0 : 1);
    }

    static void drop(Connection c) throws SQLException {
        for (String t : new String[] {"jdbc_a", "jdbc_ab", "jdbcxa", "jdbc_made"}) {
            try (Statement s = c.createStatement()) {
                s.executeUpdate("DROP TABLE IF EXISTS " + t);
            }
        }
    }

    static void statements(Connection c) {
        for (String sql : new String[] {"SELECT 1 AS one", "SELECT 1 AS one;", "SELECT 1 AS one ;\n"}) {
            check(sql.trim(), () -> {
                try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery(sql)) {
                    equal(rs.getMetaData().getColumnCount(), 1);
                    equal(rs.getMetaData().getColumnLabel(1), "one");
                    that(rs.next(), "no row");
                    equal(rs.getInt(1), 1);
                    that(!rs.next(), "a second row");
                }
            });
        }
        check("execute tells a query from an update", () -> {
            try (Statement s = c.createStatement()) {
                that(s.execute("SELECT 1"), "a query is taken for an update");
                that(s.getResultSet().next(), "no row");
                that(!s.execute("CREATE TABLE jdbc_a (id VARCHAR, n BIGINT)"), "DDL is taken for a query");
                equal(s.getUpdateCount(), 0);
            }
        });
        check("executeUpdate of DDL gives 0", () -> {
            try (Statement s = c.createStatement()) {
                equal(s.executeUpdate("CREATE TABLE jdbc_ab (id VARCHAR, price DECIMAL(12,2), ts TIMESTAMP WITH TIME ZONE, tags VARCHAR[])"), 0);
                equal(s.executeUpdate("CREATE TABLE jdbcxa (id VARCHAR)"), 0);
            }
        });
        check("SHOW TABLES", () -> {
            try (Statement s = c.createStatement()) {
                ResultSet rs = s.executeQuery("SHOW TABLES");
                List<String> names = column(rs, rs.getMetaData().getColumnLabel(1));
                that(names.contains("jdbc_a"), "tables are " + names);
            }
        });
        check("DESCRIBE", () -> {
            try (Statement s = c.createStatement()) {
                ResultSet rs = s.executeQuery("DESCRIBE jdbc_ab");
                equal(column(rs, rs.getMetaData().getColumnLabel(1)), List.of("id", "price", "ts", "tags"));
            }
        });
        check("an empty result has columns", () -> {
            // Of a plain Statement the driver counts the columns of an empty result twice.
            try (PreparedStatement s = c.prepareStatement("SELECT * FROM jdbc_ab"); ResultSet rs = s.executeQuery()) {
                equal(rs.getMetaData().getColumnCount(), 4);
                that(!rs.next(), "a row");
            }
        });
        check("bad SQL is refused with its place", () -> {
            try (Statement s = c.createStatement()) {
                String text = refused(() -> s.executeQuery("SELEC 1")).toString().toLowerCase();
                that(text.contains("syntax") || text.contains("parser"), text);
            }
        });
        check("an unknown table is refused by name", () -> {
            try (Statement s = c.createStatement()) {
                String text = refused(() -> s.executeQuery("SELECT * FROM jdbc_nowhere")).toString();
                that(text.contains("jdbc_nowhere"), text);
            }
        });
        check("the connection works after errors", () -> {
            try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT 2")) {
                that(rs.next(), "no row");
            }
        });
        check("a large result", () -> {
            try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT range AS n FROM range(1000000)")) {
                long sum = 0, rows = 0;
                while (rs.next()) {
                    sum += rs.getLong(1);
                    rows++;
                }
                equal(rows, 1000000L);
                equal(sum, 499999500000L);
            }
        });
        check("a large result that is left half read", () -> {
            for (int i = 0; i < 5; i++) {
                try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT range AS n FROM range(10000000)")) {
                    that(rs.next(), "no row");
                }
            }
        });
    }

    static void metadata(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        Set<String> left = Set.of("getUserName", "getConnection", "getResultSetHoldability", "getSQLStateType", "getRowIdLifetime");
        check("every method of DatabaseMetaData without arguments", () -> {
            List<String> bad = new ArrayList<>();
            int n = 0;
            for (Method x : DatabaseMetaData.class.getMethods()) {
                if (x.getParameterCount() > 0 || left.contains(x.getName()) || x.getDeclaringClass() != DatabaseMetaData.class) continue;
                n++;
                try {
                    Object v = x.invoke(m);
                    if (v instanceof ResultSet rs) rs.close();
                    if (v == null && x.getReturnType() != ResultSet.class) bad.add(x.getName() + " gives null");
                } catch (Exception e) {
                    bad.add(x.getName() + ": " + (e.getCause() == null ? e : e.getCause()));
                }
            }
            that(n > 100, n + " methods");
            that(bad.isEmpty(), bad.toString());
        });
        check("product", () -> {
            equal(m.getDatabaseProductName(), "Skein");
            that(!m.getDatabaseProductVersion().isEmpty(), "no version");
            equal(m.getIdentifierQuoteString(), "\"");
            equal(m.getSearchStringEscape(), "\\");
        });
        check("what is supported", () -> {
            that(!m.supportsTransactions(), "transactions");
            equal(m.getDefaultTransactionIsolation(), Connection.TRANSACTION_NONE);
            that(m.supportsTransactionIsolationLevel(Connection.TRANSACTION_NONE), "no isolation level");
            that(!m.supportsTransactionIsolationLevel(Connection.TRANSACTION_SERIALIZABLE), "serializable");
            that(m.supportsGroupBy() && m.supportsUnionAll() && m.supportsFullOuterJoins() && m.supportsSubqueriesInExists(), "SQL");
            that(m.supportsResultSetType(ResultSet.TYPE_FORWARD_ONLY), "forward only");
            that(m.supportsConvert(Types.INTEGER, Types.VARCHAR), "convert");
            that(m.getMaxStatementLength() > 0, "statement length");
            that(m.getStringFunctions().contains("SUBSTRING"), "functions");
        });
        check("getCatalogs", () -> equal(column(m.getCatalogs(), "TABLE_CAT"), List.of("skein")));
        check("getSchemas", () -> equal(column(m.getSchemas(), "TABLE_SCHEM"), List.of("main")));
        check("getSchemas of a catalog and pattern", () -> {
            equal(column(m.getSchemas("skein", "ma%"), "TABLE_SCHEM"), List.of("main"));
            equal(column(m.getSchemas("skein", "x%"), "TABLE_SCHEM"), List.of());
        });
        check("getTableTypes", () -> equal(column(m.getTableTypes(), "TABLE_TYPE"), List.of("TABLE")));
        Map<String, String[]> types = new LinkedHashMap<>();
        types.put("any", null);
        types.put("TABLE", new String[] {"TABLE"});
        types.put("BASE TABLE", new String[] {"BASE TABLE"});
        types.put("TABLE or VIEW", new String[] {"TABLE", "VIEW"});
        types.forEach((name, t) -> check("getTables of type " + name, () -> {
            equal(column(m.getTables(null, null, "jdbc\\_a", t), "TABLE_NAME"), List.of("jdbc_a"));
        }));
        check("getTables of type VIEW", () -> equal(column(m.getTables(null, null, "%", new String[] {"VIEW"}), "TABLE_NAME"), List.of()));
        check("getTables by pattern", () -> {
            equal(column(m.getTables("skein", "main", "jdbc_a", null), "TABLE_NAME"), List.of("jdbc_a", "jdbcxa"));
            equal(column(m.getTables(null, "%", "jdbc\\_a%", null), "TABLE_NAME"), List.of("jdbc_a", "jdbc_ab"));
            equal(column(m.getTables("other", null, "%", null), "TABLE_NAME"), List.of());
        });
        check("getPrimaryKeys", () -> equal(column(m.getPrimaryKeys(null, null, "jdbc_a"), "COLUMN_NAME"), List.of()));
        check("getImportedKeys", () -> equal(column(m.getImportedKeys(null, null, "jdbc_a"), "FKCOLUMN_NAME"), List.of()));
        check("getExportedKeys", () -> equal(column(m.getExportedKeys(null, null, "jdbc_a"), "FKCOLUMN_NAME"), List.of()));
        check("getCrossReference", () ->
            equal(column(m.getCrossReference(null, null, "jdbc_a", null, null, "jdbc_ab"), "FKCOLUMN_NAME"), List.of()));
        check("getTypeInfo", () -> m.getTypeInfo().close()); // the driver answers it alone, with nothing
    }

    static void columns(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        check("getColumns", () -> {
            List<String> got = new ArrayList<>();
            try (ResultSet rs = m.getColumns(null, null, "jdbc\\_ab", "%")) {
                while (rs.next()) {
                    got.add(rs.getInt("ORDINAL_POSITION") + " " + rs.getString("COLUMN_NAME") + " " + rs.getInt("DATA_TYPE") + " "
                        + rs.getString("TYPE_NAME") + " " + rs.getInt("COLUMN_SIZE") + " " + rs.getInt("DECIMAL_DIGITS") + " "
                        + rs.getString("IS_NULLABLE"));
                    that(rs.getString("REMARKS") != null, "no remarks");
                }
            }
            equal(got, List.of(
                "1 id " + Types.VARCHAR + " VARCHAR 2147483647 0 YES",
                "2 price " + Types.DECIMAL + " DECIMAL(12,2) 12 2 YES",
                "3 ts " + Types.TIMESTAMP_WITH_TIMEZONE + " TIMESTAMP WITH TIME ZONE 26 6 YES",
                "4 tags " + Types.ARRAY + " VARCHAR[] 0 0 YES"));
        });
        check("getColumns by pattern", () ->
            equal(column(m.getColumns("skein", "main", "jdbc\\_ab", "%i%"), "COLUMN_NAME"), List.of("id", "price")));
    }

    static void prepared(Connection c) {
        check("prepared, no parameters", () -> {
            try (PreparedStatement p = c.prepareStatement("SELECT 5 AS n")) {
                equal(p.getMetaData().getColumnCount(), 1);
                for (int i = 0; i < 3; i++) {
                    try (ResultSet rs = p.executeQuery()) {
                        that(rs.next(), "no row");
                        equal(rs.getInt("n"), 5);
                    }
                }
            }
        });
        check("prepared, typed parameters, run twice", () -> {
            try (PreparedStatement p = c.prepareStatement("SELECT range AS n FROM range(10) WHERE range >= CAST(? AS BIGINT) AND range < CAST(? AS BIGINT)")) {
                equal(p.getParameterMetaData().getParameterCount(), 2);
                for (int i = 1; i < 3; i++) {
                    p.setLong(1, i);
                    p.setLong(2, 2 * i);
                    List<String> want = new ArrayList<>();
                    for (int n = i; n < 2 * i; n++) want.add("" + n);
                    equal(column(p.executeQuery(), "n"), want);
                }
            }
        });
        check("prepared, text parameter", () -> {
            try (PreparedStatement p = c.prepareStatement("SELECT CAST(? AS VARCHAR) || '!' AS s")) {
                p.setString(1, "it's 你好");
                equal(column(p.executeQuery(), "s"), List.of("it's 你好!"));
            }
        });
        check("prepared, untyped parameter takes text", () -> {
            try (PreparedStatement p = c.prepareStatement("SELECT ? AS s")) {
                p.setString(1, "x");
                equal(column(p.executeQuery(), "s"), List.of("x"));
            }
        });
        check("prepared, NULL", () -> {
            try (PreparedStatement p = c.prepareStatement("SELECT CAST(? AS BIGINT) IS NULL AS n")) {
                p.setNull(1, Types.BIGINT);
                equal(column(p.executeQuery(), "n"), List.of("true"));
            }
        });
        check("prepared, other types", () -> {
            String sql = "SELECT CAST(? AS DOUBLE) AS d, CAST(? AS DECIMAL(10,2)) AS p, CAST(? AS BOOLEAN) AS b, CAST(? AS DATE) AS t, CAST(? AS TIMESTAMP) AS ts";
            try (PreparedStatement p = c.prepareStatement(sql)) {
                p.setDouble(1, 1.5);
                p.setBigDecimal(2, new BigDecimal("12.34"));
                p.setBoolean(3, true);
                p.setDate(4, java.sql.Date.valueOf("2024-02-29"));
                p.setTimestamp(5, Timestamp.valueOf("2024-02-29 12:34:56.789"));
                try (ResultSet rs = p.executeQuery()) {
                    that(rs.next(), "no row");
                    equal(rs.getDouble(1), 1.5);
                    equal(rs.getBigDecimal(2), new BigDecimal("12.34"));
                    equal(rs.getBoolean(3), true);
                    equal(rs.getString(4), "2024-02-29");
                    equal(rs.getTimestamp(5), Timestamp.valueOf("2024-02-29 12:34:56.789"));
                }
            }
        });
        check("prepared, time", () -> {
            try (PreparedStatement p = c.prepareStatement("SELECT CAST(? AS TIME) AS t")) {
                p.setTime(1, Time.valueOf("12:34:56"));
                try (ResultSet rs = p.executeQuery()) {
                    that(rs.next(), "no row");
                    equal(rs.getTime(1).toString(), "12:34:56");
                }
            }
        });
        check("prepared, unset parameter is refused", () -> {
            try (PreparedStatement p = c.prepareStatement("SELECT CAST(? AS BIGINT)")) {
                refused(p::executeQuery);
            }
        });
        check("prepared DDL", () -> {
            try (PreparedStatement p = c.prepareStatement("CREATE TABLE jdbc_made (id VARCHAR)")) {
                equal(p.executeUpdate(), 0);
            }
            equal(column(c.getMetaData().getTables(null, null, "jdbc\\_made", null), "TABLE_NAME"), List.of("jdbc_made"));
        });
        check("100 statements at once", () -> {
            List<PreparedStatement> all = new ArrayList<>();
            for (int i = 0; i < 100; i++) all.add(c.prepareStatement("SELECT " + i + " AS n"));
            for (int i = 0; i < 100; i++) equal(column(all.get(i).executeQuery(), "n"), List.of("" + i));
            for (PreparedStatement p : all) p.close();
        });
    }

    static void updates(Connection c) {
        check("DROP TABLE gives 0", () -> {
            try (Statement s = c.createStatement()) {
                equal(s.executeUpdate("DROP TABLE jdbc_made"), 0);
            }
        });
        check("making a table twice is refused", () -> {
            try (Statement s = c.createStatement()) {
                String text = refused(() -> s.executeUpdate("CREATE TABLE jdbc_a (id VARCHAR)")).toString();
                that(text.contains("already exists"), text);
            }
        });
        check("dropping an unknown table is refused", () -> {
            try (Statement s = c.createStatement()) {
                refused(() -> s.executeUpdate("DROP TABLE jdbc_nowhere"));
            }
        });
    }

    static void types(Connection c) {
        Object[][] cases = {
            {"CAST(1 AS TINYINT)", Types.TINYINT, "1"}, {"CAST(-2 AS SMALLINT)", Types.SMALLINT, "-2"},
            {"CAST(3 AS INTEGER)", Types.INTEGER, "3"}, {"9223372036854775807", Types.BIGINT, "9223372036854775807"},
            {"CAST(1.5 AS FLOAT)", Types.FLOAT, "1.5"}, {"CAST(2.25 AS DOUBLE)", Types.DOUBLE, "2.25"},
            {"CAST(12.34 AS DECIMAL(12,2))", Types.DECIMAL, "12.34"}, {"true", Types.BOOLEAN, "true"},
            {"'text'", Types.VARCHAR, "text"}, {"DATE '2024-02-29'", Types.DATE, "2024-02-29"},
            {"TIMESTAMP '2024-02-29 01:02:03'", Types.TIMESTAMP, null},
            {"TIME '01:02:03'", Types.TIME, null}, {"'ab'::BLOB", Types.VARBINARY, null},
            {"[1, 2]", Types.ARRAY, null}, {"{'a': 1}", Types.JAVA_OBJECT, null},
            {"'b'::ENUM('a', 'b')", Types.VARCHAR, "b"},
        };
        for (Object[] k : cases) {
            check("type of " + k[0], () -> {
                try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT " + k[0] + " AS v, NULL::INTEGER AS n")) {
                    that(rs.next(), "no row");
                    equal(rs.getMetaData().getColumnType(1), k[1]);
                    that(rs.getObject(1) != null, "getObject gives null");
                    if (k[2] != null) equal(rs.getString(1), k[2]);
                    equal(rs.getObject(2), null);
                    that(rs.wasNull(), "wasNull");
                }
            });
        }
    }

    // Driver 18.3 has no getObject(int) for instants; the calls below work.
    static void instants(Connection c) {
        check("TIMESTAMP WITH TIME ZONE", () -> {
            try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT TIMESTAMPTZ '2024-02-29 01:02:03.456789+00' AS v")) {
                that(rs.next(), "no row");
                equal(rs.getMetaData().getColumnType(1), Types.TIMESTAMP_WITH_TIMEZONE);
                equal(rs.getObject(1, java.time.Instant.class), java.time.Instant.parse("2024-02-29T01:02:03.456789Z"));
                equal(rs.getObject(1, java.time.OffsetDateTime.class).toInstant(), java.time.Instant.parse("2024-02-29T01:02:03.456789Z"));
                that(rs.getString(1) != null && rs.getTimestamp(1) != null, "no value");
            }
        });
    }

    static void connections(String address, Properties p, boolean authenticated) {
        check("catalog in the URL", () -> {
            Connection c = DriverManager.getConnection(url(address, "&catalog=skein"), p);
            try (Statement s = c.createStatement(); ResultSet rs = s.executeQuery("SELECT 1")) {
                that(rs.next(), "no row");
            }
            try {
                c.close();
            } catch (SQLException e) { // with a catalog, driver 18.3 closes the session again on a closed channel
                that(e.getMessage().contains("Channel shutdown"), e.toString());
            }
        });
        check("another catalog in the URL is refused", () -> {
            try {
                DriverManager.getConnection(url(address, "&catalog=other"), p).close();
            } catch (Exception e) {
                return;
            }
            throw new AssertionError("connected");
        });
        if (!authenticated) {
            check("a user and a password do no harm", () -> {
                try (Connection c = DriverManager.getConnection(url(address, ""), "ann", "secret"); Statement s = c.createStatement()) {
                    that(s.executeQuery("SELECT 1").next(), "no row");
                }
            });
        } else {
            check("a wrong password is refused", () -> refused(() -> DriverManager.getConnection(url(address, ""), p.getProperty("user"), "wrong " + p.getProperty("password")).close()));
        }
        check("autocommit off, commit, rollback", () -> {
            try (Connection c = DriverManager.getConnection(url(address, ""), p); Statement s = c.createStatement()) {
                c.setAutoCommit(false);
                that(s.executeQuery("SELECT 1").next(), "no row");
                c.commit();
                c.rollback();
                c.setAutoCommit(true);
            }
        });
        check("20 connections", () -> {
            List<Connection> all = new ArrayList<>();
            for (int i = 0; i < 20; i++) all.add(DriverManager.getConnection(url(address, ""), p));
            for (Connection c : all) {
                try (Statement s = c.createStatement()) {
                    that(s.executeQuery("SELECT 1").next(), "no row");
                }
                c.close();
            }
        });
    }
}
