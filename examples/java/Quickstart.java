// Skein from Java, by the Flight SQL JDBC driver.
//
//   java --add-opens=java.base/java.nio=ALL-UNNAMED -cp flight-sql-jdbc-driver-18.3.0.jar Quickstart.java [HOST:PORT [USER PASSWORD]]

import java.sql.*;
import java.util.Properties;

public class Quickstart {
    public static void main(String[] args) throws SQLException {
        String address = args.length > 0 ? args[0] : "127.0.0.1:8815";
        Properties login = new Properties();
        if (args.length > 2) {
            login.put("user", args[1]);
            login.put("password", args[2]);
        }
        try (Connection db = DriverManager.getConnection("jdbc:arrow-flight-sql://" + address + "/?useEncryption=false", login)) {
            try (Statement s = db.createStatement()) {
                s.executeUpdate("CREATE OR REPLACE TABLE example_java AS SELECT 'Oslo' AS city, 3.2::DOUBLE AS km");
            }
            // A batch is one transaction.
            try (PreparedStatement insert = db.prepareStatement("INSERT INTO example_java VALUES (?, ?)")) {
                for (Object[] trip : new Object[][] {{"Lima", 11.0}, {"Pune", 5.5}}) {
                    insert.setString(1, (String) trip[0]);
                    insert.setDouble(2, (Double) trip[1]);
                    insert.addBatch();
                }
                insert.executeBatch();
            }
            try (PreparedStatement query = db.prepareStatement("SELECT city, km FROM example_java WHERE km > CAST(? AS DOUBLE) ORDER BY km")) {
                query.setDouble(1, 4);
                try (ResultSet rows = query.executeQuery()) {
                    while (rows.next()) System.out.println(rows.getString("city") + " " + rows.getDouble("km"));
                }
            }
            try (ResultSet columns = db.getMetaData().getColumns(null, null, "example\\_java", null)) {
                while (columns.next()) System.out.println(columns.getString("COLUMN_NAME") + ": " + columns.getString("TYPE_NAME"));
            }
            try (Statement s = db.createStatement()) {
                s.executeUpdate("DROP TABLE example_java");
            }
        }
        System.exit(0); // the driver's threads are no daemons
    }
}
