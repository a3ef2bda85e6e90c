// Package backup copies tables to the backup store, proves that the copies
// would do, and brings tables back: as their index is, or as they were at a
// moment.
//
// It owns the history of each table's index, which it keeps beside the files
// in the backup store, and the operations and their list, which outlive who
// asks for them. It does not know what the stores are, how single objects are
// copied and compared (package transfer does), or who asks.
package backup
