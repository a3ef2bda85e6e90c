// Package e2e tests the whole program from outside: it builds the skein
// binary, starts nodes as processes of their own with a real Redis and a real
// MinIO, and speaks to them through curl, REST, gRPC, ADBC, JDBC and the
// command line, as users do.
//
// It knows the public ports and the specification, and nothing of the code
// behind them. The tests need redis-server, minio, curl, a JDK, and a Python
// with adbc_driver_flightsql, pyarrow, duckdb 1.5.6 and tpchgen-cli; two tests,
// of a full disk and of a network that splits, need root and iproute2. What is
// missing fails them and says how to get it. The environment may name the
// tools:
//
//	SKEIN_TEST_BINARY    the skein binary; built once if unset
//	SKEIN_TEST_PYTHON    the Python; python3 if unset
//	SKEIN_TEST_TPCHGEN   tpchgen-cli; beside the Python or in PATH if unset
//	SKEIN_TEST_JDBC_JAR  flight-sql-jdbc-driver-*.jar; must be set
//	SKEIN_TEST_MINIO     the MinIO server; minio in PATH if unset
//	SKEIN_TEST_NODE      Node.js; node in PATH if unset
//	SKEIN_TEST_SF        scale factor of the TPC-H data; 0.1 if unset
//	SKEIN_TEST_DEATHS    how many clients TestClientsThatVanish kills, each with
//	                     ten results begun; 5 if unset
//	SKEIN_TEST_CHAOS     how long TestChaos lets nodes fail; 20s if unset
package e2e
