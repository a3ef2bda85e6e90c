// Package repair lets meta/check work on the object stores and data files that
// there are.
//
// It owns how a check reaches them, and that one repair runs at a time. It does
// not know what damage is, nor who asks.
package repair
