// Package config lets a YAML file give values for command-line flags: the file's
// keys are the flags' names. A flag on the command line beats the environment,
// and the environment beats the file.
//
// It does not know what any flag means.
package config
