// Package objstore keeps immutable objects by key.
//
// It owns one interface, Store, its sentinel errors and one acceptance suite
// (objstoretest) that every driver passes: local for a directory, s3 for
// MinIO and its kin. Package cache below it gives DuckDB local paths of
// objects. It does not know what is in an object.
package objstore
