// Runs the statements of a directory by JDBC and writes each result as JSON:
// its columns, and its rows as texts, floats as numbers.
//
//   java --add-opens=java.base/java.nio=ALL-UNNAMED -cp DRIVER.jar Tpch.java HOST:PORT STATEMENTS OUT

import java.math.BigDecimal;
import java.nio.file.*;
import java.sql.*;
import java.util.*;

public class Tpch {
    public static void main(String[] args) throws Exception {
        Path out = Files.createDirectories(Path.of(args[2]));
        List<Path> files = new ArrayList<>();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(Path.of(args[1]), "*.sql")) {
            found.forEach(files::add);
        }
        Collections.sort(files);
        double total = 0;
        try (Connection c = DriverManager.getConnection("jdbc:arrow-flight-sql://" + args[0] + "/?useEncryption=false")) {
            for (Path file : files) {
                long start = System.nanoTime();
                String name = file.getFileName().toString().replace(".sql", ".json");
                try (PreparedStatement s = c.prepareStatement(Files.readString(file)); ResultSet rs = s.executeQuery()) {
                    Files.writeString(out.resolve(name), json(rs));
                } catch (SQLException e) {
                    throw new Exception(file.getFileName() + ": " + e.getMessage(), e);
                }
                total += (System.nanoTime() - start) / 1e9;
            }
        }
        System.out.printf("jdbc: %.2f s%n", total);
    }

    static String json(ResultSet rs) throws SQLException {
        ResultSetMetaData m = rs.getMetaData();
        StringBuilder b = new StringBuilder("{\"Columns\":[");
        for (int i = 1; i <= m.getColumnCount(); i++) {
            b.append(i > 1 ? "," : "").append("{\"Name\":").append(quoted(m.getColumnLabel(i))).append(",\"Kind\":").append(quoted(kind(m.getColumnType(i)))).append("}");
        }
        b.append("],\"Rows\":[");
        for (boolean first = true; rs.next(); first = false) {
            b.append(first ? "[" : ",\n[");
            for (int i = 1; i <= m.getColumnCount(); i++) {
                b.append(i > 1 ? "," : "").append(cell(rs, m, i));
            }
            b.append("]");
        }
        return b.append("]}").toString();
    }

    static String kind(int type) {
        return switch (type) {
            case Types.TINYINT, Types.SMALLINT, Types.INTEGER, Types.BIGINT, Types.DECIMAL, Types.NUMERIC -> "number";
            case Types.FLOAT, Types.REAL, Types.DOUBLE -> "float";
            case Types.CHAR, Types.VARCHAR, Types.LONGVARCHAR -> "text";
            case Types.DATE -> "date";
            case Types.BOOLEAN, Types.BIT -> "bool";
            default -> "type " + type;
        };
    }

    static String cell(ResultSet rs, ResultSetMetaData m, int i) throws SQLException {
        Object v = rs.getObject(i);
        if (v == null) return "null";
        if (v instanceof Double || v instanceof Float) return v.toString();
        if (v instanceof BigDecimal d) return quoted(d.signum() == 0 ? "0" : d.stripTrailingZeros().toPlainString());
        if (v instanceof java.sql.Date) return quoted(rs.getString(i));
        return quoted(v.toString());
    }

    static String quoted(String s) {
        StringBuilder b = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\') b.append('\\').append(c);
            else if (c < ' ') b.append(String.format("\\u%04x", (int) c));
            else b.append(c);
        }
        return b.append('"').toString();
    }
}
