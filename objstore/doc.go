// Package objstore keeps immutable objects by key.
//
// It owns one interface, Store, its sentinel errors and one acceptance suite
// (objstoretest) that every driver passes: local for a directory, s3 for
// MinIO and its kin. Package pool makes one store of several endpoints with a
// backup, transfer moves objects between stores, and cache gives DuckDB local
// paths of objects. It does not know what is in an object.
package objstore
