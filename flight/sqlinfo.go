package flight

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	arrowflight "github.com/apache/arrow-go/v18/arrow/flight"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql"
	"github.com/apache/arrow-go/v18/arrow/flight/flightsql/schema_ref"
)

// sqlInfo is what clients are told about the server. The Go type of each value
// decides its type on the wire, and JDBC casts each code to one type: where
// its casts and the protocol's comments differ, the cast is followed.
func sqlInfo(o Options) flightsql.SqlInfoResultMap {
	m := flightsql.SqlInfoResultMap{}
	for _, part := range []map[flightsql.SqlInfo]any{serverInfo(o), syntaxInfo(), capabilityInfo(), limitInfo(), transactionInfo()} {
		for code, value := range part {
			m[uint32(code)] = value
		}
	}
	return m
}

func serverInfo(o Options) map[flightsql.SqlInfo]any {
	return map[flightsql.SqlInfo]any{
		flightsql.SqlInfoFlightSqlServerName:                        "Skein",
		flightsql.SqlInfoFlightSqlServerVersion:                     o.Version,
		flightsql.SqlInfoFlightSqlServerArrowVersion:                arrow.PkgVersion,
		flightsql.SqlInfoFlightSqlServerReadOnly:                    false,
		flightsql.SqlInfoFlightSqlServerSql:                         true,
		flightsql.SqlInfoFlightSqlServerSubstrait:                   false,
		flightsql.SqlInfoFlightSqlServerSubstraitMinVersion:         "",
		flightsql.SqlInfoFlightSqlServerSubstraitMaxVersion:         "",
		flightsql.SqlInfoFlightSqlServerTransaction:                 int32(flightsql.SqlTransactionNone),
		flightsql.SqlInfoFlightSqlServerCancel:                      true,
		flightsql.SqlInfoFlightSqlServerStatementTimeout:            int32(o.PreparedIdle.Milliseconds()),
		flightsql.SqlInfoFlightSqlServerTransactionTimeout:          int32(0),
		flightsql.SqlInfoFlightSqlServerBulkIngestion:               true,
		flightsql.SqlInfoFlightSqlServerIngestTransactionsSupported: false,
	}
}

func syntaxInfo() map[flightsql.SqlInfo]any {
	return map[flightsql.SqlInfo]any{
		flightsql.SqlInfoDDLCatalog:                             false,
		flightsql.SqlInfoDDLSchema:                              false,
		flightsql.SqlInfoDDLTable:                               true,
		flightsql.SqlInfoIdentifierCase:                         int32(flightsql.SqlCaseSensitivityCaseInsensitive),
		flightsql.SqlInfoIdentifierQuoteChar:                    `"`,
		flightsql.SqlInfoQuotedIdentifierCase:                   int32(flightsql.SqlCaseSensitivityCaseInsensitive),
		flightsql.SqlInfoAllTablesAreASelectable:                true,
		flightsql.SqlInfoNullOrdering:                           int32(flightsql.SqlNullOrderingSortAtEnd),
		flightsql.SqlInfoKeywords:                               strings.Fields(keywords),
		flightsql.SqlInfoNumericFunctions:                       strings.Fields(numericFunctions),
		flightsql.SqlInfoStringFunctions:                        strings.Fields(stringFunctions),
		flightsql.SqlInfoSystemFunctions:                        strings.Fields(systemFunctions),
		flightsql.SqlInfoDateTimeFunctions:                      strings.Fields(datetimeFunctions),
		flightsql.SqlInfoSearchStringEscape:                     `\`,
		flightsql.SqlInfoExtraNameChars:                         "",
		flightsql.SqlInfoSupportsColumnAliasing:                 true,
		flightsql.SqlInfoNullPlusNullIsNull:                     true,
		flightsql.SqlInfoSupportsConvert:                        conversions(),
		flightsql.SqlInfoSupportsTableCorrelationNames:          true,
		flightsql.SqlInfoSupportsDifferentTableCorrelationNames: false,
		flightsql.SqlInfoSchemaTerm:                             "schema",
		flightsql.SqlInfoProcedureTerm:                          "procedure",
		flightsql.SqlInfoCatalogTerm:                            "catalog",
		flightsql.SqlInfoCatalogAtStart:                         true,
	}
}

func capabilityInfo() map[flightsql.SqlInfo]any {
	const firstTwo, firstThree, firstFour = int32(0b11), int32(0b111), int32(0b1111)
	const none, forwardOnly, readOnly = int32(0), int32(0b10), int32(0b10)
	return map[flightsql.SqlInfo]any{
		flightsql.SqlInfoSupportsExpressionsInOrderBy:                        true,
		flightsql.SqlInfoSupportsOrderByUnrelated:                            true,
		flightsql.SqlInfoSupportedGroupBy:                                    firstTwo,
		flightsql.SqlInfoSupportsLikeEscapeClause:                            true,
		flightsql.SqlInfoSupportsNonNullableColumns:                          false,
		flightsql.SqlInfoSupportedGrammar:                                    firstThree,
		flightsql.SqlInfoANSI92SupportedLevel:                                firstTwo,
		flightsql.SqlInfoSupportsIntegrityEnhancementFacility:                false,
		flightsql.SqlInfoOuterJoinsSupportLevel:                              int32(0b110), // limited, full: JDBC reads bits
		flightsql.SqlInfoSchemasSupportedActions:                             none,
		flightsql.SqlInfoCatalogsSupportedActions:                            none,
		flightsql.SqlInfoSupportedPositionedCommands:                         none,
		flightsql.SqlInfoSelectForUpdateSupported:                            false,
		flightsql.SqlInfoStoredProceduresSupported:                           false,
		flightsql.SqlInfoSupportedSubqueries:                                 firstFour,
		flightsql.SqlInfoCorrelatedSubqueriesSupported:                       true,
		flightsql.SqlInfoSupportedUnions:                                     firstTwo,
		flightsql.SqlInfoSupportedResultSetTypes:                             forwardOnly,
		flightsql.SqlInfoSupportedConcurrenciesForResultSetUnspecified:       none,
		flightsql.SqlInfoSupportedConcurrenciesForResultSetForwardOnly:       readOnly,
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollSensitive:   none,
		flightsql.SqlInfoSupportedConcurrenciesForResultSetScrollInsensitive: none,
		flightsql.SqlInfoBatchUpdatesSupported:                               true,
		flightsql.SqlInfoNamedParametersSupported:                            false,
		flightsql.SqlInfoLocatorsUpdateCopy:                                  false,
		flightsql.SqlInfoStoredFunctionsUsingCallSyntaxSupported:             false,
	}
}

// limitInfo has the limits; zero means that there is none or none is known.
func limitInfo() map[flightsql.SqlInfo]any {
	m := map[flightsql.SqlInfo]any{
		flightsql.SqlInfoMaxStatementLen:         int64(SQLBytesMax),
		flightsql.SqlInfoMaxCharLiteralLen:       int64(SQLBytesMax),
		flightsql.SqlInfoMaxBinaryLiteralLen:     int64(SQLBytesMax),
		flightsql.SqlInfoMaxRowSizeIncludesBlobs: true,
	}
	for _, code := range []flightsql.SqlInfo{
		flightsql.SqlInfoMaxColumnNameLen, flightsql.SqlInfoMaxColumnsInGroupBy, flightsql.SqlInfoMaxColumnsInIndex,
		flightsql.SqlInfoMaxColumnsInOrderBy, flightsql.SqlInfoMaxColumnsInSelect, flightsql.SqlInfoMaxColumnsInTable,
		flightsql.SqlInfoMaxConnections, flightsql.SqlInfoMaxCursorNameLen, flightsql.SqlInfoMaxIndexLen,
		flightsql.SqlInfoDBSchemaNameLen, flightsql.SqlInfoMaxProcedureNameLen, flightsql.SqlInfoMaxCatalogNameLen,
		flightsql.SqlInfoMaxRowSize, flightsql.SqlInfoMaxStatements, flightsql.SqlInfoMaxTableNameLen,
		flightsql.SqlInfoMaxTablesInSelect, flightsql.SqlInfoMaxUsernameLen,
	} {
		m[code] = int64(0)
	}
	return m
}

func transactionInfo() map[flightsql.SqlInfo]any {
	return map[flightsql.SqlInfo]any{
		flightsql.SqlInfoDefaultTransactionIsolation:           int64(0), // none; JDBC casts to Long
		flightsql.SqlInfoTransactionsSupported:                 false,
		flightsql.SqlInfoSupportedTransactionsIsolationlevels:  int32(0b1), // none
		flightsql.SqlInfoDataDefinitionCausesTransactionCommit: false,
		flightsql.SqlInfoDataDefinitionsInTransactionsIgnored:  false,
		flightsql.SqlInfoSavePointsSupported:                   false,
	}
}

// conversions tells which types CAST turns into which.
func conversions() map[int32][]int32 {
	numbers := []int32{
		int32(flightsql.SqlConvertTinyInt), int32(flightsql.SqlConvertSmallInt), int32(flightsql.SqlConvertInteger),
		int32(flightsql.SqlConvertBigInt), int32(flightsql.SqlConvertReal), int32(flightsql.SqlConvertFloat),
		int32(flightsql.SqlConvertDecimal), int32(flightsql.SqlConvertNumeric), int32(flightsql.SqlConvertBit),
	}
	texts := []int32{int32(flightsql.SqlConvertChar), int32(flightsql.SqlConvertVarchar), int32(flightsql.SqlConvertLongVarchar)}
	times := []int32{int32(flightsql.SqlConvertDate), int32(flightsql.SqlConvertTimestamp)}
	others := []int32{int32(flightsql.SqlConvertTime), int32(flightsql.SqlConvertBinary), int32(flightsql.SqlConvertVarbinary), int32(flightsql.SqlConvertLongVarbinary)}
	m := map[int32][]int32{}
	for _, from := range numbers {
		m[from] = slices.Concat(numbers, texts)
	}
	for _, from := range times {
		m[from] = slices.Concat(times, texts)
	}
	for _, from := range others {
		m[from] = slices.Concat([]int32{from}, texts)
	}
	for _, from := range texts {
		m[from] = slices.Concat(texts, numbers, times, others)
	}
	return m
}

// GetFlightInfoSqlInfo implements flightsql.Server.
func (s *sqlServer) GetFlightInfoSqlInfo(_ context.Context, _ flightsql.GetSqlInfo, d *arrowflight.FlightDescriptor) (*arrowflight.FlightInfo, error) {
	return infoOf(d, schema_ref.SqlInfo, d.Cmd), nil
}

// DoGetSqlInfo implements flightsql.Server. An empty list asks for all codes;
// an unknown one is left out.
func (s *sqlServer) DoGetSqlInfo(_ context.Context, c flightsql.GetSqlInfo) (*arrow.Schema, chunks, error) {
	codes := c.GetInfo()
	if len(codes) == 0 {
		codes = slices.Sorted(maps.Keys(s.info))
	}
	return send(schema_ref.SqlInfo, build(schema_ref.SqlInfo, func(b *array.RecordBuilder) {
		values := b.Field(1).(*array.DenseUnionBuilder)
		for _, code := range codes {
			if v, ok := s.info[code]; ok {
				b.Field(0).(*array.Uint32Builder).Append(code)
				appendInfo(values, v)
			}
		}
	}))
}

// appendInfo puts a value into the member of the union that its type has.
func appendInfo(b *array.DenseUnionBuilder, value any) {
	const text, boolean, bigint, bitmask, list, mapping = 0, 1, 2, 3, 4, 5
	switch v := value.(type) {
	case string:
		b.Append(text)
		b.Child(text).(*array.StringBuilder).Append(v)
	case bool:
		b.Append(boolean)
		b.Child(boolean).(*array.BooleanBuilder).Append(v)
	case int64:
		b.Append(bigint)
		b.Child(bigint).(*array.Int64Builder).Append(v)
	case int32:
		b.Append(bitmask)
		b.Child(bitmask).(*array.Int32Builder).Append(v)
	case []string:
		b.Append(list)
		l := b.Child(list).(*array.ListBuilder)
		l.Append(true)
		l.ValueBuilder().(*array.StringBuilder).AppendValues(v, nil)
	case map[int32][]int32:
		b.Append(mapping)
		m := b.Child(mapping).(*array.MapBuilder)
		m.Append(true)
		items := m.ItemBuilder().(*array.ListBuilder)
		for _, k := range slices.Sorted(maps.Keys(v)) {
			m.KeyBuilder().(*array.Int32Builder).Append(k)
			items.Append(true)
			items.ValueBuilder().(*array.Int32Builder).AppendValues(v[k], nil)
		}
	default:
		panic("BUG: information of a type that has no place in the union")
	}
}

// What tools complete and quote by. Keywords are those beyond SQL:2003.
const (
	keywords = `ANALYSE ANALYZE ANTI ASOF ATTACH DESCRIBE EXCLUDE EXPLAIN GLOB ILIKE ISNULL LAMBDA LIMIT MACRO
		NOTNULL OFFSET PIVOT PIVOT_LONGER PIVOT_WIDER PLACING POSITIONAL PRAGMA QUALIFY RETURNING SAMPLE SEMI SHOW
		STRUCT SUMMARIZE TRY_CAST UNPIVOT USE VARIADIC`
	numericFunctions = `ABS ACOS ASIN ATAN ATAN2 CBRT CEIL CEILING COS COT DEGREES EXP FACTORIAL FLOOR GCD GREATEST LCM
		LEAST LN LOG LOG10 LOG2 MOD PI POW POWER RADIANS RANDOM ROUND SIGN SIN SQRT TAN TRUNC`
	stringFunctions = `ASCII BASE64 CHR CONCAT CONCAT_WS CONTAINS ENDS_WITH FORMAT HEX INSTR LCASE LEFT LENGTH LOWER
		LPAD LTRIM MD5 POSITION PRINTF REGEXP_EXTRACT REGEXP_MATCHES REGEXP_REPLACE REPEAT REPLACE REVERSE RIGHT RPAD
		RTRIM SHA256 SPLIT_PART STARTS_WITH STRIP_ACCENTS STRLEN SUBSTR SUBSTRING TRANSLATE TRIM UCASE UNICODE UPPER`
	systemFunctions   = `COALESCE CURRENT_CATALOG CURRENT_SCHEMA IFNULL NULLIF TYPEOF UUID VERSION`
	datetimeFunctions = `AGE CENTURY CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATEDIFF DATEPART DATETRUNC DATE_ADD
		DATE_DIFF DATE_PART DATE_SUB DATE_TRUNC DAY DAYNAME DAYOFMONTH DAYOFWEEK DAYOFYEAR DECADE EPOCH EPOCH_MS EXTRACT
		HOUR LAST_DAY MAKE_DATE MAKE_TIME MAKE_TIMESTAMP MINUTE MONTH MONTHNAME NOW QUARTER SECOND STRFTIME STRPTIME
		TIME_BUCKET TODAY TO_TIMESTAMP WEEK WEEKDAY YEAR`
)
